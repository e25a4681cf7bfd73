"""One event of a trace on the wire (jobs-api.md 9.1)."""

from __future__ import annotations

from rune_common.domain.job_events import JobEvent
from rune_common.http.event_stream import frame, web_json
from rune_common.http.schemas.job_event import JobEventView


def trace_frame(event: JobEvent) -> bytes:
    """A frame whose data is the job event with its `id`."""
    document = {"id": event.seq, **JobEventView.of(event).model_dump()}
    return frame(event.seq, "log", web_json(document))
