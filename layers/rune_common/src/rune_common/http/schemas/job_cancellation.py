"""The answer to a cancel (jobs-api.md 4.7)."""

from __future__ import annotations

from typing import Literal, Self

from fastapi import Response
from pydantic import BaseModel

from rune_common.domain.runs import Run, RunState


class JobCancellation(BaseModel):
    job_id: str
    status: Literal["cancelled", "cancelling"]

    @classmethod
    def of(cls, run: Run, response: Response) -> Self:
        """200 when the job has been cancelled, 202 while it is being stopped."""
        done = run.state is RunState.CANCELLED
        response.status_code = 200 if done else 202
        return cls(job_id=run.run_id, status="cancelled" if done else "cancelling")
