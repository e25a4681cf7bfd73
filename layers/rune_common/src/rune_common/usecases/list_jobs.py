"""List a tenant's jobs, page by page (jobs-api.md 4.6)."""

from __future__ import annotations

from dataclasses import dataclass, field

from rune_common.domain.access import Principal
from rune_common.domain.cursors import make_cursor, read_cursor
from rune_common.domain.jobs import JobRecord, job_record
from rune_common.domain.ports import RunFilter, RunStore

DEFAULT_LIMIT = 50


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs, how many (1 to 200) and from where on."""

    where: RunFilter = field(default_factory=RunFilter)
    limit: int = DEFAULT_LIMIT
    cursor: str | None = None
    with_results: bool = False


@dataclass(frozen=True, slots=True)
class JobPage:
    """`next_cursor` is None at the end."""

    jobs: tuple[JobRecord, ...]
    next_cursor: str | None


def list_jobs(query: JobQuery, caller: Principal, *, runs: RunStore, cursor_key: bytes) -> JobPage:
    """A page of the tenant's jobs in order of creation. Raises InvalidCursor."""
    scope = _scope(query.where, caller.tenant)
    after = None if query.cursor is None else read_cursor(query.cursor, scope, key=cursor_key)
    page = runs.list(caller.tenant, query.where, limit=query.limit, after=after)
    ended = [run.run_id for run in page.runs if run.terminal and run.has_result]
    results = runs.results(caller.tenant, ended) if query.with_results and ended else {}
    return JobPage(
        jobs=tuple(job_record(run, result=results.get(run.run_id)) for run in page.runs),
        next_cursor=None
        if page.next_position is None
        else make_cursor(page.next_position, scope, key=cursor_key),
    )


def _scope(where: RunFilter, tenant: str) -> dict[str, object]:
    """What a cursor is bound to: the list's name, the tenant and the filters, in any order."""
    return {
        "list": "jobs",
        "tenant": tenant,
        "states": sorted(set(where.states)),
        "kinds": sorted(set(where.kinds)),
        "created_after": where.created_after,
        "created_before": where.created_before,
        "order": where.order,
    }
