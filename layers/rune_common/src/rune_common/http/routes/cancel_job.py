from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from rune_common.http.authentication import CanCancel
from rune_common.http.schemas.job_cancellation import JobCancellation
from rune_common.http.wired import Wired
from rune_common.usecases import cancel_job as jobs

router = APIRouter(tags=["jobs"])

STOPPING: dict[int | str, dict[str, Any]] = {
    202: {"model": JobCancellation, "description": "The job is being stopped"}
}


@router.delete("/v1/jobs/{job_id}", responses=STOPPING)
@router.post("/v1/jobs/{job_id}/cancel", responses=STOPPING, operation_id="cancel_job_by_post")
def cancel_job(job_id: str, caller: CanCancel, services: Wired, response: Response) -> JobCancellation:
    """Stop a job: at once if it was queued, else as soon as its work has been stopped and cleared away."""
    return JobCancellation.of(
        jobs.cancel_job(
            job_id,
            caller,
            runs=services.runs,
            clock=services.clock,
            redactor=services.redactor,
            seal=services.evidence,
        ),
        response,
    )
