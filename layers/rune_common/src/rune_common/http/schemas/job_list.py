"""A page of jobs on the wire (jobs-api.md 4.6)."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel

from rune_common.http.schemas.job import JobView
from rune_common.usecases.list_jobs import JobPage


class JobListView(BaseModel):
    """`next_cursor` is null at the end."""

    jobs: list[JobView]
    next_cursor: str | None

    @classmethod
    def of(cls, page: JobPage) -> Self:
        return cls(jobs=[JobView.of(job) for job in page.jobs], next_cursor=page.next_cursor)
