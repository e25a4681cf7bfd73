"""Read a job's events (jobs-api.md 4.9)."""

from __future__ import annotations

from dataclasses import dataclass

from rune_common.domain.access import Principal
from rune_common.domain.job_events import JobEvent, job_event
from rune_common.domain.ports import RunStore
from rune_common.usecases.read_job import find_job

MAX_LIMIT = 5_000
LOG_PAGES = (50, 1_000)
"""Log events per read, least and most: a chatty tool's output is not shown but has to be passed."""
MAX_READS = 10


@dataclass(frozen=True, slots=True)
class JobEventPage:
    """`next_after` is where to go on, None when the log has been read to its present end."""

    job_id: str
    events: tuple[JobEvent, ...]
    next_after: int | None


def read_job_events(
    job_id: str, caller: Principal, *, after: int = 0, limit: int = MAX_LIMIT, runs: RunStore
) -> JobEventPage:
    """The job's events after a sequence, ascending; perhaps fewer than `limit`. Raises RunNotFound."""
    run = find_job(job_id, caller, runs=runs)
    found: list[JobEvent] = []
    least, most = LOG_PAGES
    for _ in range(MAX_READS):
        page = runs.events(
            run.tenant, run.run_id, after=after, limit=min(most, max(least, limit - len(found)))
        )
        for index, event in enumerate(page.events, start=1):
            after = event.sequence
            shown = job_event(event)
            if shown is None:
                continue
            found.append(shown)
            if len(found) == limit:
                more = page.more or index < len(page.events)
                return JobEventPage(run.run_id, tuple(found), after if more else None)
        if not page.more:
            return JobEventPage(run.run_id, tuple(found), None)
    return JobEventPage(run.run_id, tuple(found), after)
