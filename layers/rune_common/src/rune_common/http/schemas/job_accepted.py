"""The answer to a submission (jobs-api.md 4.2)."""

from __future__ import annotations

from typing import Literal, Self

from fastapi import Response
from pydantic import BaseModel

from rune_common.usecases.submit_job import Submitted


class JobAccepted(BaseModel):
    job_id: str
    status: Literal["accepted"]

    @classmethod
    def of(cls, submitted: Submitted, response: Response) -> Self:
        """`response` gets the header that tells a replay."""
        if submitted.replayed:
            response.headers["Idempotency-Replayed"] = "true"
        return cls(job_id=submitted.run_id, status="accepted")
