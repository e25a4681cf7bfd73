"""`kpi(run_rows, as_of, …)`: how a tenant's runs do, in one window against the one before (runs-api.md 8, 16)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rune_common.domain.events import timestamp
from rune_common.domain.kpi_metrics import METRICS, Figure, Metric, WindowRuns, cost_micro_usd, success_rate
from rune_common.domain.kpi_rows import RunRow, pack

DAY_MS = 86_400_000
DEFINITIONS_VERSION = "1"
COMPARE_DAYS, BASELINE_DAYS = 7, 28
MOST_DAYS = 365
FEWEST_OBSERVATIONS = 5
FLAT_PERCENT = 1
TOP_KEYS = 20
OTHER, NONE = "other", "none"
"""The keys of what is not among the first twenty, and of runs that have no value there."""

_KEYS: dict[str, Callable[[RunRow], str]] = {
    "by_mode": lambda row: row.mode,
    "by_repo": lambda row: row.repo,
    "by_model": lambda row: row.model,
    "by_exit_reason": lambda row: row.exit_reason,
}


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open: `from_ms` is in it, `to_ms` is not. Epoch ms."""

    from_ms: int
    to_ms: int
    days: int

    def runs(self, rows: Iterable[RunRow]) -> WindowRuns:
        return WindowRuns([row for row in rows if self.from_ms <= row.ended_at < self.to_ms], self.days)

    def document(self) -> dict[str, Any]:
        return {"from": timestamp(self.from_ms), "to": timestamp(self.to_ms), "days": self.days}


def windows(as_of: int, compare_days: int, baseline_days: int) -> tuple[Window, Window]:
    """Compare and baseline, adjacent; they end at `as_of`, epoch ms."""
    middle = as_of - compare_days * DAY_MS
    start = middle - baseline_days * DAY_MS
    return Window(middle, as_of, compare_days), Window(start, middle, baseline_days)


def kpi(
    run_rows: Iterable[RunRow], as_of: int, compare_days: int, baseline_days: int, *, open_runs: int = 0
) -> dict[str, Any]:
    """The reply's body. `as_of` in epoch ms; `open_runs` are the runs that have not ended, which have no rows.

    The order of the rows does not matter, and a run that is given twice counts once.
    """
    rows = list(
        {row.run_id: row for row in sorted(run_rows, key=lambda row: (row.run_id, pack(row)))}.values()
    )
    compare, baseline = windows(as_of, compare_days, baseline_days)
    now, before = compare.runs(rows), baseline.runs(rows)
    return {
        "as_of": timestamp(as_of),
        "windows": {"compare": compare.document(), "baseline": baseline.document()},
        "metrics": [_compared(metric, metric.figure(now), metric.figure(before)) for metric in METRICS],
        "open_runs": open_runs,
        "breakdowns": {name: _breakdown(now.rows, key) for name, key in _KEYS.items()},
        "definitions_version": DEFINITIONS_VERSION,
    }


def _compared(metric: Metric, now: Figure, before: Figure) -> dict[str, Any]:
    # Deltas are of the values that are shown, so that a reader who subtracts gets the same.
    compare, baseline = _shown(now.value), _shown(before.value)
    delta = delta_pct = None
    if compare is not None and baseline is not None and not metric.total:
        delta = _shown(compare - baseline)
        delta_pct = _shown(100 * (compare - baseline) / abs(baseline)) if baseline else None
    return {
        "key": metric.key,
        "unit": metric.unit,
        "direction": metric.direction,
        "compare": compare,
        "baseline": baseline,
        "delta": delta,
        "delta_pct": delta_pct,
        "n_compare": now.n,
        "n_baseline": before.n,
        "verdict": _verdict(metric, compare, baseline, delta_pct, fewest=min(now.n, before.n)),
    }


def _verdict(
    metric: Metric, compare: float | None, baseline: float | None, delta_pct: float | None, *, fewest: int
) -> str:
    if compare is None or baseline is None or fewest < FEWEST_OBSERVATIONS:
        return "insufficient_data"
    if metric.direction == "neutral":
        return "neutral"
    if compare == baseline or (delta_pct is not None and abs(delta_pct) < FLAT_PERCENT):
        return "flat"
    return "improved" if (compare > baseline) == (metric.direction == "higher") else "regressed"


def _breakdown(rows: Sequence[RunRow], key: Callable[[RunRow], str]) -> dict[str, dict[str, Any]]:
    """The keys with the most runs, then by name; the rest together, if there is any."""
    groups: dict[str, list[RunRow]] = {}
    for row in rows:
        groups.setdefault(key(row) or NONE, []).append(row)
    rest = groups.pop(OTHER, [])
    ordered = sorted(groups, key=lambda name: (-len(groups[name]), name))
    rest += [row for name in ordered[TOP_KEYS:] for row in groups[name]]
    found = {name: _summary(groups[name]) for name in ordered[:TOP_KEYS]}
    return found | ({OTHER: _summary(rest)} if rest else {})


def _summary(rows: Sequence[RunRow]) -> dict[str, Any]:
    cost = cost_micro_usd(rows)
    return {
        "runs_total": len(rows),
        "success_rate": _shown(success_rate(rows).value),
        "cost_usd_total": None if cost is None else cost / 1_000_000,
    }


def _shown(value: float | None) -> float | None:
    """At most six decimals; a whole number stays one."""
    return value if value is None or isinstance(value, int) else round(value, 6)
