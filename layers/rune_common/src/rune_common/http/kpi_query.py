"""From a query string to the KPI's windows (runs-api.md 8). An empty parameter is one that was not given."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Query

from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.domain.kpi import BASELINE_DAYS, COMPARE_DAYS, MOST_DAYS
from rune_common.usecases.read_kpi import KpiQuery

_DAYS = re.compile(r"[0-9]{1,9}", re.ASCII)
_NAMES = ("compare_window_days", "baseline_window_days")
_OLDEST = datetime(1972, 1, 1, tzinfo=UTC)  # both windows of the greatest length lie after the epoch


async def kpi_query(
    compare_window_days: Annotated[str, Query(description=f"1 to {MOST_DAYS}, {COMPARE_DAYS}")] = "",
    baseline_window_days: Annotated[str, Query(description=f"1 to {MOST_DAYS}, {BASELINE_DAYS}")] = "",
    as_of: Annotated[str, Query(description="ISO-8601, this minute")] = "",
) -> KpiQuery:
    """Raises InvalidRequest naming every parameter that does not fit."""
    days = [_days(compare_window_days, COMPARE_DAYS), _days(baseline_window_days, BASELINE_DAYS)]
    moment = _moment(as_of)
    problems = [
        FieldProblem(name, "out_of_range", f"must be an integer from 1 to {MOST_DAYS}")
        for name, found in zip(_NAMES, days, strict=True)
        if found is None
    ]
    if as_of and moment is None:
        problems.append(FieldProblem("as_of", "format", "must be a time as of ISO-8601"))
    if problems or days[0] is None or days[1] is None:
        raise InvalidRequest(*problems)
    return KpiQuery(days[0], days[1], moment)


AskedKpi = Annotated[KpiQuery, Depends(kpi_query)]


def _days(text: str, default: int) -> int | None:
    if not text:
        return default
    found = int(text) if _DAYS.fullmatch(text) else 0
    return found if 1 <= found <= MOST_DAYS else None


def _moment(text: str) -> int | None:
    """Epoch ms; a time without an offset is UTC."""
    try:
        found = datetime.fromisoformat(text)
        # A plus sign that a client did not escape arrives as a blank, which no time has there: it is refused.
        moment = found if found.tzinfo else found.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000) if moment >= _OLDEST else None
    except (ValueError, OverflowError):
        return None
