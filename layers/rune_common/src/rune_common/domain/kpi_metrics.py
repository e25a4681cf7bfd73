"""The KPI's definitions, each a figure over the runs that ended in one window (runs-api.md 8).

Decided here: a finding is closed by `finding_resolved`, whatever its resolution, except in
`finding_closure_rate`; a run is priced when everything it used had a price; an approval is settled by any of its
five endings; a loop stopped by its budget is one whose stop class says so, the iteration ceiling included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rune_common.domain.kpi_rows import RunRow

Direction = Literal["higher", "lower", "neutral"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A value and how many observations it rests on: runs, values or events. None: there was nothing."""

    value: float | None
    n: int


@dataclass(frozen=True, slots=True)
class WindowRuns:
    """The runs of one window."""

    rows: Sequence[RunRow]
    days: int

    @property
    def loops(self) -> list[RunRow]:
        return [row for row in self.rows if row.iterations is not None]

    @property
    def priced(self) -> list[RunRow]:
        return [row for row in self.rows if row.priced]

    def total(self, name: str) -> int:
        return sum(getattr(row, name) for row in self.rows)


@dataclass(frozen=True, slots=True)
class Metric:
    """`total`: it grows with the window's length, so two windows are not compared by it."""

    key: str
    unit: str
    direction: Direction
    figure: Callable[[WindowRuns], Figure]
    total: bool = False


def nearest_rank(values: Iterable[float], percent: int) -> float | None:
    """The smallest value that at least `percent` of the values do not exceed; None of none."""
    found = sorted(values)
    return found[max(1, math.ceil(percent / 100 * len(found))) - 1] if found else None


def cost_micro_usd(rows: Sequence[RunRow]) -> int | None:
    """The known costs together; None when there are runs and no cost of any is known."""
    known = [row.cost_micro_usd for row in rows if row.cost_micro_usd is not None]
    return sum(known) if known or not rows else None


def success_rate(rows: Iterable[RunRow]) -> Figure:
    decided = [row for row in rows if row.decided]
    return _ratio(sum(row.succeeded for row in decided), len(decided))


def _ratio(part: float, whole: int) -> Figure:
    return Figure(part / whole if whole else None, whole)


def _dollars(micro_usd: int | None) -> float | None:
    return None if micro_usd is None else micro_usd / 1_000_000


def _runs_total(window: WindowRuns) -> Figure:
    return Figure(len(window.rows), len(window.rows))


def _cost_total(window: WindowRuns) -> Figure:
    return Figure(_dollars(cost_micro_usd(window.rows)), len(window.rows))


def _cost_per_day(window: WindowRuns) -> Figure:
    cost = _dollars(cost_micro_usd(window.rows))
    return Figure(None if cost is None else cost / window.days, len(window.rows))


def _per_day(name: str = "") -> Callable[[WindowRuns], Figure]:
    """Runs per day, or events of a sort; what either rests on is the number of runs."""

    def figure(window: WindowRuns) -> Figure:
        amount = window.total(name) if name else len(window.rows)
        return Figure(amount / window.days, len(window.rows))

    return figure


def _success(window: WindowRuns) -> Figure:
    return success_rate(window.rows)


def _failure(window: WindowRuns) -> Figure:
    rate = success_rate(window.rows)
    return _ratio(sum(row.status == "failed" for row in window.rows), rate.n)


def _share(of: Callable[[RunRow], bool], among: str = "rows") -> Callable[[WindowRuns], Figure]:
    """How many of the runs (or of the loops) are so."""

    def figure(window: WindowRuns) -> Figure:
        rows: Sequence[RunRow] = getattr(window, among)
        return _ratio(sum(of(row) for row in rows), len(rows))

    return figure


def _quotient(part: str, whole: str) -> Callable[[WindowRuns], Figure]:
    return lambda window: _ratio(window.total(part), window.total(whole))


def _mean(name: str, among: str = "rows") -> Callable[[WindowRuns], Figure]:
    def figure(window: WindowRuns) -> Figure:
        rows: Sequence[RunRow] = getattr(window, among)
        return _ratio(sum(getattr(row, name) for row in rows), len(rows))

    return figure


def _percentile(name: str, percent: int, *, in_seconds: bool = False) -> Callable[[WindowRuns], Figure]:
    """Of a field's value, or of all values of a field that has several."""

    def figure(window: WindowRuns) -> Figure:
        values = [each for row in window.rows for each in _values(getattr(row, name))]
        found = nearest_rank(values, percent)
        return Figure(None if found is None else found / 1000 if in_seconds else found, len(values))

    return figure


def _values(found: int | None | tuple[int, ...]) -> Sequence[int]:
    return found if isinstance(found, tuple) else () if found is None else (found,)


def _cost_per_run(window: WindowRuns) -> Figure:
    return _ratio(_dollars(cost_micro_usd(window.priced)) or 0, len(window.priced))


def cost_per_closed_finding(window: WindowRuns) -> Figure:
    closed = sum(row.findings_resolved for row in window.priced)
    return _ratio(_dollars(cost_micro_usd(window.priced)) or 0, closed)


METRICS: tuple[Metric, ...] = (
    Metric("runs_total", "runs", "neutral", _runs_total, total=True),
    Metric("cost_usd_total", "usd", "neutral", _cost_total, total=True),
    Metric("runs_per_day", "runs/day", "neutral", _per_day()),
    Metric("cost_usd_per_day", "usd/day", "neutral", _cost_per_day),
    Metric("success_rate", "ratio", "higher", _success),
    Metric("failure_rate", "ratio", "lower", _failure),
    Metric("cancel_rate", "ratio", "lower", _share(lambda row: row.status == "cancelled")),
    Metric("findings_opened_per_day", "findings/day", "neutral", _per_day("findings_opened")),
    Metric("findings_closed_per_day", "findings/day", "higher", _per_day("findings_resolved")),
    Metric("finding_closure_rate", "ratio", "higher", _quotient("findings_fixed", "findings_opened")),
    Metric("resurfaced_rate", "ratio", "lower", _quotient("findings_resurfaced", "findings_resolved")),
    Metric("time_to_close_p50_s", "s", "lower", _percentile("close_ms", 50, in_seconds=True)),
    Metric("time_to_close_p90_s", "s", "lower", _percentile("close_ms", 90, in_seconds=True)),
    Metric("time_to_first_event_p50_ms", "ms", "lower", _percentile("first_event_ms", 50)),
    Metric("duration_p50_ms", "ms", "lower", _percentile("duration_ms", 50)),
    Metric("duration_p90_ms", "ms", "lower", _percentile("duration_ms", 90)),
    Metric("cost_per_run_usd", "usd", "lower", _cost_per_run),
    Metric("cost_per_closed_finding_usd", "usd", "lower", cost_per_closed_finding),
    Metric("tokens_per_run", "tokens", "neutral", _mean("tokens")),
    Metric("tool_calls_per_run", "calls", "neutral", _mean("tool_calls")),
    Metric("subagents_per_run", "subagents", "neutral", _mean("subagents")),
    Metric("iterations_per_loop", "iterations", "lower", _mean("iterations", "loops")),
    Metric("loop_clean_rate", "ratio", "higher", _share(lambda row: row.stop_class == "clean", "loops")),
    Metric(
        "budget_stop_rate",
        "ratio",
        "lower",
        _share(lambda row: row.stop_class == "budget_exhausted", "loops"),
    ),
    Metric("approval_latency_p50_s", "s", "lower", _percentile("approval_ms", 50, in_seconds=True)),
    Metric("approval_denial_rate", "ratio", "neutral", _quotient("approvals_denied", "approvals_settled")),
    Metric("approval_expiry_rate", "ratio", "lower", _quotient("approvals_expired", "approvals_settled")),
    Metric("evidence_verified_rate", "ratio", "higher", _share(lambda row: row.evidence_verified)),
    Metric("reproducibility_rate", "ratio", "higher", _share(lambda row: row.evidence_reproduced)),
    Metric("unpriced_call_rate", "ratio", "lower", _quotient("unpriced_calls", "llm_calls")),
)
