"""Events that clients append to a run's log: which, and what the server makes of them (runs-api.md 2.7)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.domain.events import EventDraft, EventUsage, Redacting, epoch_ms, timestamp
from rune_common.domain.runs import OutputPlace, ReportedWork

APPENDABLE = frozenset(
    (
        *("run_progress", "stage_changed", "step_started", "step_completed", "tool_call", "tool_result"),
        *("terminal_output", "narrative", "reasoning_summary", "finding_opened", "finding_updated"),
        *("finding_resolved", "finding_resurfaced", "gate_result", "budget_warning"),
        "approval_requested",
    )
)
MAX_DRAFTS = 40
MAX_OPEN = 24
"""Calls, steps and outputs that a run may have open; what is open must be closed in one transaction."""

AHEAD_MS = 5 * 60 * 1000
BEHIND_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class ExternalDraft:
    """A valid draft as its client sent it. `digest` is of all that was sent; `sent_at` epoch ms, if it told."""

    producer_key: str
    type: str
    payload: Mapping[str, Any]
    digest: str
    actor: str | None = None
    actor_detail: Mapping[str, Any] | None = None
    sent_at: int | None = None
    duration_ms: float = 0
    usage: EventUsage = field(default_factory=EventUsage)
    stage: str | None = None
    step_id: str | None = None
    call_id: str | None = None
    iteration: int | None = None
    parent_event_id: str | None = None


@dataclass(frozen=True, slots=True)
class OutputChunk:
    """A piece of a step's output; `redactions` is what was removed from it."""

    data: str
    size_bytes: int
    redactions: tuple[Any, ...]


def draft_time(sent_at: int | None, now_ms: int) -> str | None:
    """When an event happened; None for now. A time that cannot be right becomes the server's (3.1)."""
    if sent_at is None or sent_at > now_ms + AHEAD_MS or sent_at < now_ms - BEHIND_MS:
        return None
    return timestamp(sent_at)


def parse_time(text: str) -> int:
    """Epoch ms of an ISO-8601 time with an offset. Raises ValueError."""
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a time needs its offset from UTC")
    return epoch_ms(text)


def accepted(
    draft: ExternalDraft, work: ReportedWork, *, subject: str, now_ms: int, redactor: Redacting, path: str
) -> tuple[EventDraft, ReportedWork]:
    """The event that a draft becomes, and what is open after it. Raises InvalidRequest."""
    payload = dict(draft.payload)
    call_id = draft.call_id or _text(payload, "call_id")
    step_id = draft.step_id or _text(payload, "step_id")
    if draft.type in ("tool_call", "tool_result") and call_id:
        payload["call_id"] = call_id
    removed: tuple[Any, ...] = ()
    if draft.type == "terminal_output":
        chunk = redacted_chunk(payload, redactor)
        offset = next((each.size_bytes for each in work.outputs if _is(each, step_id, payload)), 0)
        payload |= {"terminal_seq": work.terminal_seq + 1, "offset": offset, "bytes": chunk.size_bytes}
        payload["data"] = chunk.data
        payload.setdefault("summary", f"{payload['stream']} of {step_id}")
        removed = chunk.redactions
    event = EventDraft(
        draft.type,
        payload,
        actor=draft.actor or subject,
        duration_ms=draft.duration_ms,
        usage=draft.usage,
        producer_key=draft.producer_key,
        producer_digest=draft.digest,
        call_id=call_id,
        stage=draft.stage or (_text(payload, "stage") if draft.type == "stage_changed" else None),
        step_id=step_id,
        redactions=removed,
        actor_detail=draft.actor_detail,
        iteration=draft.iteration,
        parent_event_id=draft.parent_event_id,
        ts=draft_time(draft.sent_at, now_ms),
    )
    after = _after(work, event)
    if len(after.calls) + len(after.steps) + len(after.outputs) > MAX_OPEN:
        raise InvalidRequest(FieldProblem(path, "too_many", f"leaves more than {MAX_OPEN} things open"))
    return event, after


def redacted_chunk(payload: Mapping[str, Any], redactor: Redacting) -> OutputChunk:
    """A chunk without secrets: its offset counts what is stored (runs-api.md 5.4)."""
    data = str(payload["data"])
    if payload["encoding"] == "utf8":
        text, found = redactor.value(data)
        return OutputChunk(text, len(text.encode()), _inside(found))
    # Bytes that are no text are looked at as if each were a character: the rules know ASCII only.
    text, found = redactor.value(base64.b64decode(data).decode("latin-1"))
    raw = text.encode("latin-1")
    return OutputChunk(base64.b64encode(raw).decode(), len(raw), _inside(found))


def closing_events(work: ReportedWork) -> list[EventDraft]:
    """What closes all that is open when a run ends: each call has a result, each step an end (3.2)."""
    calls = [
        EventDraft(
            "tool_result",
            {
                "summary": f"{name} aborted",
                "call_id": call_id,
                "tool_name": name,
                "status": "aborted",
                "data": None,
            },
            call_id=call_id,
        )
        for call_id, name in work.calls
    ]
    steps = [
        EventDraft(
            "step_completed",
            {
                "summary": f"{step_id} did not end",
                "step_id": step_id,
                "state": "cancelled",
                "exit_code": None,
            },
            step_id=step_id,
        )
        for step_id in work.steps
    ]
    return [*calls, *steps]


def _after(work: ReportedWork, event: EventDraft) -> ReportedWork:
    step_id, call_id = event.step_id or "", event.call_id or ""
    match event.type:
        case "tool_call" if call_id:
            name = _text(event.payload, "tool_name") or "tool"
            rest = [call for call in work.calls if call[0] != call_id]
            return replace(work, calls=(*rest, (call_id, name)))
        case "tool_result":
            return replace(work, calls=tuple(call for call in work.calls if call[0] != call_id))
        case "step_started":
            return replace(work, steps=tuple(dict.fromkeys((*work.steps, step_id))))
        case "step_completed":
            return replace(
                work,
                steps=tuple(each for each in work.steps if each != step_id),
                outputs=tuple(each for each in work.outputs if each.step_id != step_id),
            )
        case "terminal_output":
            others = [each for each in work.outputs if not _is(each, step_id, event.payload)]
            end = event.payload["offset"] + event.payload["bytes"]
            place = OutputPlace(step_id, event.payload["stream"], end)
            return replace(work, terminal_seq=work.terminal_seq + 1, outputs=(*others, place))
    return work


def _is(place: OutputPlace, step_id: str | None, payload: Mapping[str, Any]) -> bool:
    return (place.step_id, place.stream) == (step_id, payload["stream"])


def _inside(found: Any) -> tuple[Any, ...]:
    """Redactions of the text as those of the payload's member."""
    return tuple(replace(each, pointer=f"/data{each.pointer}") for each in found)


def _text(payload: Mapping[str, Any], name: str) -> str | None:
    found = payload.get(name)
    return found if isinstance(found, str) and found else None
