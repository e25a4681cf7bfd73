"""Counters of what happened in a tenant's jobs, by event name (jobs-api.md 11)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from rune_common.domain.job_events import JobEvent

MAX_NAMES = 200
"""Different event names in one row; names beyond are not counted, so that a row has a bound."""

Counters = Mapping[str, "EventCounts"]


@dataclass(frozen=True, slots=True)
class EventCounts:
    """How often an event happened, how long it took in ms, and its newest sample. Times in epoch seconds."""

    total: int
    error: int
    sum_ms: float
    min_ms: float
    max_ms: float
    job_id: str
    status: str
    recorded_at: float
    duration_ms: float

    @property
    def ok(self) -> int:
        return self.total - self.error

    @property
    def avg_ms(self) -> float:
        return self.sum_ms / self.total

    def plus(self, other: EventCounts) -> EventCounts:
        newest = other if other.recorded_at >= self.recorded_at else self
        return EventCounts(
            total=self.total + other.total,
            error=self.error + other.error,
            sum_ms=self.sum_ms + other.sum_ms,
            min_ms=min(self.min_ms, other.min_ms),
            max_ms=max(self.max_ms, other.max_ms),
            job_id=newest.job_id,
            status=newest.status,
            recorded_at=newest.recorded_at,
            duration_ms=newest.duration_ms,
        )


def counted(events: Iterable[JobEvent], job_id: str) -> Counters:
    """The counters of these events alone."""
    return merged(
        {
            event.name: EventCounts(
                total=1,
                error=int(event.status == "error"),
                sum_ms=event.duration_ms,
                min_ms=event.duration_ms,
                max_ms=event.duration_ms,
                job_id=job_id,
                status=event.status,
                recorded_at=event.recorded_at,
                duration_ms=event.duration_ms,
            )
        }
        for event in events
    )


def merged(every: Iterable[Counters]) -> Counters:
    found: dict[str, EventCounts] = {}
    for counters in every:
        for name, counts in counters.items():
            if name in found:
                found[name] = found[name].plus(counts)
            elif len(found) < MAX_NAMES:
                found[name] = counts
    return found


def day_of(event: JobEvent) -> str:
    """The UTC day that an event counts for, `20260131`."""
    return event.timestamp[:10].replace("-", "")


class MetricsStore(Protocol):
    """Counters by day and tenant, and by run."""

    def add(self, tenant: str, run_id: str, events: Iterable[JobEvent]) -> None:
        """Count each event once, however often it is given: those up to the newest counted are left out.

        Events of a run come in their order. Raises Unavailable.
        """
        ...

    def of_days(self, tenant: str, *, first: str, last: str) -> Counters:
        """The counters of a span of days, both included, as `day_of` names them."""
        ...

    def of_run(self, tenant: str, run_id: str) -> Counters: ...
