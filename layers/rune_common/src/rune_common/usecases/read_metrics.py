"""A tenant's counters and its newest jobs (jobs-api.md 11). Neither logs nor all jobs are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rune_common.domain.access import Principal
from rune_common.domain.events import timestamp
from rune_common.domain.metrics import Counters, MetricsStore
from rune_common.domain.ports import Clock, RunFilter, RunStore
from rune_common.domain.runs import Run
from rune_common.usecases.read_job import find_job

MAX_WINDOW_DAYS = 90
NEWEST = 50
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class MetricsSummary:
    """`runs`: newest first. `now_ms`: when they were looked at."""

    counters: Counters
    runs: Sequence[Run]
    now_ms: int


def read_metrics(
    caller: Principal,
    *,
    job_id: str | None,
    window_days: int,
    runs: RunStore,
    metrics: MetricsStore,
    clock: Clock,
) -> MetricsSummary:
    """Of one job, or of the tenant's last days, today (UTC) among them. Raises RunNotFound."""
    now_ms = clock()
    if job_id is not None:
        run = find_job(job_id, caller, runs=runs)
        return MetricsSummary(metrics.of_run(run.tenant, run.run_id), [run], now_ms)
    first = now_ms - (window_days - 1) * DAY_MS
    counters = metrics.of_days(caller.tenant, first=_day(first), last=_day(now_ms))
    since = first - first % DAY_MS
    page = runs.list(caller.tenant, RunFilter(created_after=since), limit=NEWEST)
    return MetricsSummary(counters, page.runs, now_ms)


def _day(epoch_ms: int) -> str:
    return timestamp(epoch_ms)[:10].replace("-", "")
