from __future__ import annotations

from fastapi import APIRouter, Request

from rune_common.http.authentication import CanRead
from rune_common.http.schemas.job import JobView
from rune_common.http.wired import Wired, blocking
from rune_common.usecases import read_job as jobs

router = APIRouter(tags=["jobs"])


@router.get("/v1/jobs/{job_id}", response_model_exclude_unset=True)
async def read_job(
    request: Request, job_id: str, caller: CanRead, services: Wired, include: str = ""
) -> JobView:
    """Read one job; `include=request` adds what it was asked to do."""
    return JobView.of(
        await blocking(
            request,
            lambda: jobs.read_job(
                job_id,
                caller,
                with_request="request" in include.split(","),
                runs=services.runs,
                blobs=services.blobs,
            ),
        )
    )
