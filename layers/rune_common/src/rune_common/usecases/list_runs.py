"""List a tenant's runs, page by page (runs-api.md 2.7)."""

from __future__ import annotations

from dataclasses import dataclass

from rune_common.domain.access import Principal
from rune_common.domain.cursors import make_cursor, read_cursor
from rune_common.domain.fold import RunStatus
from rune_common.domain.ports import RunFilter, RunStore
from rune_common.usecases.run_status import run_statuses


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs, how many (1 to 100) and from where on."""

    where: RunFilter
    limit: int
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class RunStatusPage:
    """`next_cursor` is None at the end. A page may be short, or empty, before the end."""

    statuses: tuple[RunStatus, ...]
    next_cursor: str | None


def list_runs(query: RunQuery, caller: Principal, *, runs: RunStore, cursor_key: bytes) -> RunStatusPage:
    """A page of the tenant's runs, newest first. Raises InvalidCursor."""
    scope = _scope(query.where, caller.tenant)
    after = None if query.cursor is None else read_cursor(query.cursor, scope, key=cursor_key)
    page = runs.list(caller.tenant, query.where, limit=query.limit, after=after)
    position = page.next_position
    return RunStatusPage(
        statuses=tuple(run_statuses(page.runs, runs=runs)),
        next_cursor=None if position is None else make_cursor(position, scope, key=cursor_key),
    )


def _scope(where: RunFilter, tenant: str) -> dict[str, object]:
    """What a cursor is bound to: the list's name, the tenant and the filters, in any order."""
    return {
        "list": "runs",
        "tenant": tenant,
        "states": sorted(set(where.states)),
        "kinds": sorted(set(where.kinds)),
        "created_after": where.created_after,
        "created_before": where.created_before,
        "mode": where.mode,
        "repo": where.repo,
        "parent_run_id": where.parent_run_id,
    }
