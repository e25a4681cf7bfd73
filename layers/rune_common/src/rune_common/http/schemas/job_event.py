"""Job events on the wire (jobs-api.md 4.9)."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel

from rune_common.domain.job_events import JobEvent
from rune_common.usecases.read_job_events import JobEventPage


class JobEventView(BaseModel):
    """One event, its name in both spellings. `duration_ms` is 0 for something that has no duration."""

    seq: int
    event: str
    name: str
    status: Literal["ok", "error"]
    duration_ms: float
    error_type: str | None
    labels: dict[str, Any]
    recorded_at: float
    timestamp: str
    message: str

    @classmethod
    def of(cls, event: JobEvent) -> Self:
        return cls(
            seq=event.seq,
            event=event.name,
            name=event.name,
            status="error" if event.status == "error" else "ok",
            duration_ms=event.duration_ms,
            error_type=event.error_type,
            labels=dict(event.labels),
            recorded_at=event.recorded_at,
            timestamp=event.timestamp,
            message=event.message,
        )


class JobEventsView(BaseModel):
    """Ascending; `next_after` is what to ask for next, null when nothing more is there yet."""

    job_id: str
    events: list[JobEventView]
    next_after: int | None

    @classmethod
    def of(cls, page: JobEventPage) -> Self:
        return cls(
            job_id=page.job_id,
            events=[JobEventView.of(event) for event in page.events],
            next_after=page.next_after,
        )
