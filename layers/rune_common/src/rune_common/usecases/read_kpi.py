"""Read a tenant's KPI (runs-api.md 8): from packed daily rows, never from runs or logs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rune_common.domain.access import Principal
from rune_common.domain.daily_rows import DailyRows, OpenRuns, day_of
from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.domain.kpi import BASELINE_DAYS, COMPARE_DAYS, kpi, windows
from rune_common.domain.kpi_rows import SERIES, RunRow, read_rows
from rune_common.domain.ports import Clock

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class KpiQuery:
    """Window lengths in days, 1 to 365. `as_of` in epoch ms, None: this minute."""

    compare_days: int = COMPARE_DAYS
    baseline_days: int = BASELINE_DAYS
    as_of: int | None = None


def read_kpi(
    query: KpiQuery, caller: Principal, *, rows: DailyRows, open_runs: OpenRuns, clock: Clock
) -> Mapping[str, Any]:
    """The reply's body. Raises InvalidRequest for an `as_of` that lies ahead."""
    now = clock()
    if query.as_of is not None and query.as_of > now:
        raise InvalidRequest(FieldProblem("as_of", "too_large", "must not be in the future"))
    as_of = now - now % MINUTE_MS if query.as_of is None else query.as_of
    compare, baseline = windows(as_of, query.compare_days, query.baseline_days)
    return kpi(
        stored_rows(caller.tenant, baseline.from_ms, compare.to_ms, rows=rows),
        as_of,
        query.compare_days,
        query.baseline_days,
        open_runs=open_runs.open_runs(caller.tenant),
    )


def stored_rows(tenant: str, from_ms: int, to_ms: int, *, rows: DailyRows) -> list[RunRow]:
    """The rows of the days that these two moments touch."""
    return read_rows(rows.between(tenant, SERIES, day_of(from_ms), day_of(to_ms)))
