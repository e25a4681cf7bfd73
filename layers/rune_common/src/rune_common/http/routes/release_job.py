from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from rune_common.http.authentication import CanCancel
from rune_common.http.schemas.job_release import JobRelease
from rune_common.http.wired import Wired
from rune_common.usecases import release_job as jobs

router = APIRouter(tags=["jobs"])

RELEASING: dict[int | str, dict[str, Any]] = {
    202: {"model": JobRelease, "description": "What the job keeps is being given back"}
}


@router.post("/v1/jobs/{job_id}/release", responses=RELEASING)
def release_job(job_id: str, caller: CanCancel, services: Wired, response: Response) -> JobRelease:
    """Give back the instances that a finished job keeps under a lease."""
    return JobRelease.of(
        jobs.release_job(
            job_id, caller, runs=services.runs, clock=services.clock, redactor=services.redactor
        ),
        response,
    )
