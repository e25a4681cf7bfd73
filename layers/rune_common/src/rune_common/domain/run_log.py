"""`run.log`: a run's events as lines of text, and what its driver wrote (jobs-api.md 10)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rune_common.domain.events import Event

MAX_LINES = 100_000


def run_log(events: Sequence[Event], driver_logs: Iterable[str]) -> str:
    """One line per event. Events are redacted before they are stored, and so are the driver's logs."""
    lines = [_line(event.document()) for event in events[:MAX_LINES]]
    if len(events) > MAX_LINES:
        lines.append(f"({len(events) - MAX_LINES} more events are in the run's log)")
    for text in driver_logs:
        lines += ["", "--- driver log ---", *text.splitlines()]
    return "\n".join(lines) + "\n"


def _line(document: dict[str, Any]) -> str:
    payload = document["payload"]
    span = payload.get("span")
    span = span if isinstance(span, dict) else {}
    parts = [document["ts"], document["type"], str(span.get("name") or ""), str(span.get("status") or "")]
    if document["duration_ms"]:
        parts.append(f"{document['duration_ms']:.0f} ms")
    # A summary is one line, whatever a model put into it.
    parts.append(" ".join(str(payload["summary"]).split()))
    return "  ".join(part for part in parts if part)
