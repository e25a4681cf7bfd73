from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from rune_common.http.authentication import CanRead
from rune_common.http.schemas.job_event import JobEventsView
from rune_common.http.wired import Wired
from rune_common.usecases import read_job_events as jobs

router = APIRouter(tags=["jobs"])


@router.get("/v1/jobs/{job_id}/events")
def read_job_events(
    job_id: str,
    caller: CanRead,
    services: Wired,
    after: Annotated[int, Query(ge=0, le=2**53 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=jobs.MAX_LIMIT)] = jobs.MAX_LIMIT,
) -> JobEventsView:
    """Read what happened to a job, in order, from the start or after a sequence."""
    return JobEventsView.of(
        jobs.read_job_events(job_id, caller, after=after, limit=limit, runs=services.runs)
    )
