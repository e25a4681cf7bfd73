from __future__ import annotations

from fastapi import APIRouter

from rune_common.http.authentication import CanRead
from rune_common.http.job_query import AskedJobs
from rune_common.http.schemas.job_list import JobListView
from rune_common.http.wired import Wired
from rune_common.usecases import list_jobs as jobs

router = APIRouter(tags=["jobs"])


@router.get("/v1/jobs", response_model_exclude_unset=True)
def list_jobs(caller: CanRead, query: AskedJobs, services: Wired) -> JobListView:
    """List the tenant's jobs, newest first."""
    return JobListView.of(jobs.list_jobs(query, caller, runs=services.runs, cursor_key=services.cursor_key))
