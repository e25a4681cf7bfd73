"""The answer to a release on the wire (jobs-api.md 4.7)."""

from __future__ import annotations

from typing import Literal, Self

from fastapi import Response
from pydantic import BaseModel


class JobRelease(BaseModel):
    status: Literal["releasing", "released"]

    @classmethod
    def of(cls, releasing: bool, response: Response) -> Self:
        """202 while something is being given back."""
        response.status_code = 202 if releasing else 200
        return cls(status="releasing" if releasing else "released")
