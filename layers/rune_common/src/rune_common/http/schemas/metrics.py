"""The metrics summary on the wire (jobs-api.md 11)."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel

from rune_common.domain.jobs import KIND_WORDS, job_status
from rune_common.domain.metrics import EventCounts
from rune_common.domain.runs import Run
from rune_common.usecases.read_metrics import MetricsSummary


class EventMetricsView(BaseModel):
    """One event's counters, durations to 0.1 ms, and its newest sample: from `job_id` on."""

    event: str
    total: int
    ok: int
    error: int
    avg_ms: float
    min_ms: float
    max_ms: float
    job_id: str
    status: Literal["ok", "error"]
    recorded_at: float
    duration_ms: float

    @classmethod
    def of(cls, name: str, counts: EventCounts) -> Self:
        return cls(
            event=name,
            total=counts.total,
            ok=counts.ok,
            error=counts.error,
            avg_ms=round(counts.avg_ms, 1),
            min_ms=round(counts.min_ms, 1),
            max_ms=round(counts.max_ms, 1),
            job_id=counts.job_id,
            status="error" if counts.status == "error" else "ok",
            recorded_at=counts.recorded_at,
            duration_ms=round(counts.duration_ms, 1),
        )


class RunMetricsView(BaseModel):
    """A job. `recorded_at` in epoch seconds is that of its last change; an unknown cost is null."""

    job_id: str
    kind: str
    status: str
    recorded_at: float
    duration_ms: float
    model: str
    cost_usd: float | None
    unpriced: bool = False
    score: float | None = None

    @classmethod
    def of(cls, run: Run, now_ms: int) -> Self:
        priced = run.usage.cost_micro_usd is not None and not run.usage.unpriced
        ended = run.finished_at or now_ms
        known: dict[str, Any] = {} if run.score is None else {"score": run.score}
        known |= {} if priced else {"unpriced": True}
        return cls(
            job_id=run.run_id,
            kind=KIND_WORDS[run.kind],
            status=job_status(run.state),
            recorded_at=(run.finished_at or run.updated_at) / 1000,
            duration_ms=max(0, ended - run.started_at) if run.started_at is not None else 0,
            model=run.model,
            cost_usd=(run.usage.cost_micro_usd or 0) / 1_000_000 if priced else None,
            **known,
        )


class MetricsSummaryView(BaseModel):
    """Events by name; the newest 50 jobs, newest first."""

    events: list[EventMetricsView]
    runs: list[RunMetricsView]

    @classmethod
    def of(cls, summary: MetricsSummary) -> Self:
        return cls(
            events=[EventMetricsView.of(name, each) for name, each in sorted(summary.counters.items())],
            runs=[RunMetricsView.of(run, summary.now_ms) for run in summary.runs],
        )
