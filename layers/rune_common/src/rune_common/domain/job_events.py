"""Job events: the part of a run's log that names a span (jobs-api.md 4.9, runs-api.md 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rune_common.domain.events import Event, epoch_ms


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One line of a job's history. `seq` is the log's sequence, `recorded_at` in epoch seconds."""

    seq: int
    name: str
    status: str
    duration_ms: float
    error_type: str | None
    recorded_at: float
    timestamp: str
    message: str
    labels: Mapping[str, Any] = field(default_factory=dict)


def job_event(event: Event) -> JobEvent | None:
    """The job event that a log event is, or None when its payload names no span. Nothing is added to it."""
    document = event.document()
    payload = document["payload"]
    span = payload.get("span")
    if not isinstance(span, Mapping) or not isinstance(span.get("name"), str):
        return None
    labels = span.get("labels")
    return JobEvent(
        seq=event.sequence,
        name=span["name"],
        status="error" if span.get("status") == "error" else "ok",
        duration_ms=document["duration_ms"],
        error_type=span.get("error_type"),
        recorded_at=epoch_ms(document["ts"]) / 1000,
        timestamp=document["ts"],
        message=payload["summary"],
        labels=labels if isinstance(labels, Mapping) else {},
    )
