"""A job as the API shows it (jobs-api.md 4.5 and 4.9), read with tolerance for older and newer servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

SUCCESS = frozenset({"succeeded", "success", "completed"})
FAILURE = frozenset({"failed", "error", "cancelled", "canceled"})
TERMINAL_EVENTS = frozenset({"job.succeeded", "job.failed", "job.cancelled"})


@dataclass(frozen=True, slots=True)
class JobView:
    """`record` is the whole record as it came. Times are epoch seconds."""

    job_id: str
    status: str
    message: str
    phase: str
    record: Mapping[str, Any]

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        progress = record.get("progress")
        phase = progress.get("phase") if isinstance(progress, dict) else None
        return cls(
            job_id=str(record.get("job_id", "")),
            status=str(record.get("status", "")),
            message=str(record.get("message", "")),
            phase=str(phase or ""),
            record=record,
        )

    @property
    def succeeded(self) -> bool:
        return self.status in SUCCESS

    @property
    def terminal(self) -> bool:
        return self.status in SUCCESS | FAILURE

    @property
    def result(self) -> dict[str, Any] | None:
        found = self.record.get("result")
        return found if isinstance(found, dict) else None

    @property
    def error(self) -> str:
        return str(self.record.get("error") or self.message or self.status)

    @property
    def error_code(self) -> str:
        return str(self.record.get("error_code") or self.status)


@dataclass(frozen=True, slots=True)
class EventView:
    """`duration_ms` is 0 for point events. `label` is the tool, model, step or warning that it is about.

    `status` is `ok` or `error`; `outcome` is the tool's or step's own word where it has one: `no_data`.
    """

    seq: int
    name: str
    status: str
    duration_ms: float
    message: str
    label: str
    outcome: str
    recorded_at: float | None

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Self:
        labels = event.get("labels")
        labels = labels if isinstance(labels, dict) else {}
        recorded = event.get("recorded_at")
        status = str(event.get("status") or "ok")
        named = (labels.get(key) for key in ("tool", "tool_name", "model", "step", "code"))
        return cls(
            seq=int(event.get("seq", 0)),
            name=str(event.get("event") or event.get("name") or ""),
            status=status,
            duration_ms=float(event.get("duration_ms") or 0),
            message=str(event.get("message") or ""),
            label=next((str(value) for value in named if value), ""),
            outcome=str(labels.get("status") or status),
            recorded_at=float(recorded) if isinstance(recorded, int | float) else None,
        )

    @property
    def failed(self) -> bool:
        return self.status != "ok"
