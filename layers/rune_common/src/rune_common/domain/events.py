"""The event log: envelope, kinds and the one way to extend it (runs-api.md 3)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from rune_common.domain.artifacts import Artifact
from rune_common.domain.canonical import canonical_json, normalise
from rune_common.domain.chain import leaf_hash, link_hash
from rune_common.domain.errors import Conflict
from rune_common.domain.runs import LogHead, UsageTotals

SCHEMA_VERSION = "1"
MAX_EVENTS_PER_APPEND = 40
MAX_PAYLOAD_BYTES = 32 * 1024

FAMILIES: dict[str, tuple[str, ...]] = {
    "lifecycle": (
        "run_queued",
        "run_started",
        "run_progress",
        "stage_changed",
        "step_started",
        "step_completed",
        "run_resumed",
        "cancel_requested",
        "run_completed",
        "run_failed",
        "run_cancelled",
    ),
    "tool": ("tool_call", "tool_result"),
    "output": ("terminal_output", "narrative", "reasoning_summary"),
    "governance": (
        "approval_requested",
        "approval_approved",
        "approval_denied",
        "approval_expired",
        "approval_cancelled",
        "approval_superseded",
        "policy_denied",
        "budget_warning",
        "budget_stop",
    ),
    "findings": (
        "finding_opened",
        "finding_updated",
        "finding_resurfaced",
        "finding_resolved",
        "gate_result",
    ),
    "loop": ("loop_started", "iteration_started", "iteration_completed", "loop_stopped"),
    "git": ("git_checkpoint_started", "git_checkpoint_completed", "git_checkpoint_failed"),
    "artifact": ("artifact_added",),
}
FAMILY_OF: dict[str, str] = {kind: family for family, kinds in FAMILIES.items() for kind in kinds}
TERMINAL_TYPES = frozenset({"run_completed", "run_failed", "run_cancelled"})


class LogClosed(Conflict):
    """The log has its terminal event; nothing can follow it."""

    code = "log_closed"


class Redacted(Protocol):
    """What one rule removed at one place (redaction.Redaction)."""

    @property
    def pointer(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def count(self) -> int: ...


class Redacting(Protocol):
    """What removes secrets from an event before it is stored (redaction.Redactor)."""

    def value(self, value: Any) -> tuple[Any, Sequence[Redacted]]: ...


@dataclass(frozen=True, slots=True)
class EventUsage:
    """What one event used, never cumulative. Cost in micro-USD; `unpriced` makes it unknown."""

    input_tokens: int = 0
    output_tokens: int = 0
    llm_calls: int = 0
    tool_calls: int = 0
    cost_micro_usd: int = 0
    unpriced: bool = False
    model: str | None = None
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    provider: str | None = None
    reported_tokens: int | None = None
    """The total that a client told, where it told no parts."""

    @property
    def token_usage(self) -> int:
        parts = self.input_tokens + self.output_tokens
        return parts if self.reported_tokens is None else self.reported_tokens

    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "tool_calls": self.tool_calls,
            "llm_calls": self.llm_calls,
            "unpriced": self.unpriced,
        }
        optional = {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cache_read_tokens": self.cache_read_tokens,
            "cache_write_tokens": self.cache_write_tokens,
            "model": self.model,
            "provider": self.provider,
        }
        return found | {name: value for name, value in optional.items() if value}


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An event before it has a place in the log. `payload` needs a `summary` of 1 to 300 characters.

    `redactions`: what was removed from the payload before it became a draft, with pointers into it.
    `artifacts`: files whose bytes are stored and which enter the run's index together with this event.
    `producer_digest` is of the draft as its producer sent it; `ts` when it happened, if that is not now.
    """

    type: str
    payload: Mapping[str, Any]
    actor: str = "runtime"
    duration_ms: float = 0
    usage: EventUsage = field(default_factory=EventUsage)
    producer_key: str | None = None
    call_id: str | None = None
    stage: str | None = None
    step_id: str | None = None
    redactions: tuple[Redacted, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    actor_detail: Mapping[str, Any] | None = None
    iteration: int | None = None
    parent_event_id: str | None = None
    producer_digest: str = ""
    ts: str | None = None
    redacted: bool = False
    """The payload is a piece of a redacted stream: looked at by itself it could seem to hold something else."""


@dataclass(frozen=True, slots=True)
class Event:
    """A stored event. `body` is the line that every reader gets: RFC 8785 bytes of the whole event.

    `redactions` is known only when the event is made; it counts what was removed from it.
    """

    sequence: int
    type: str
    body: bytes
    redactions: int = field(default=0, compare=False)

    def document(self) -> dict[str, Any]:
        """The envelope of runs-api.md 3.1 as a dict."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def terminal(self) -> bool:
        return self.type in TERMINAL_TYPES


def total_usage(before: UsageTotals, added: Iterable[EventUsage]) -> UsageTotals:
    """A run's usage after further events: usage is per event, so its sum over the log is the run's."""
    total = before
    for use in added:
        priced = use.cost_micro_usd > 0 or (use.llm_calls > 0 and not use.unpriced)
        total = UsageTotals(
            input_tokens=total.input_tokens + use.input_tokens,
            output_tokens=total.output_tokens + use.output_tokens,
            llm_calls=total.llm_calls + use.llm_calls,
            tool_calls=total.tool_calls + use.tool_calls,
            cost_micro_usd=(total.cost_micro_usd or 0) + use.cost_micro_usd
            if priced
            else total.cost_micro_usd,
            unpriced=total.unpriced or use.unpriced,
        )
    return total


def timestamp(epoch_ms: int) -> str:
    """ISO-8601 UTC with milliseconds and Z."""
    moment = datetime.fromtimestamp(epoch_ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{epoch_ms % 1000:03d}Z"


def epoch_ms(text: str) -> int:
    """The inverse of `timestamp`."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def append_event(
    head: LogHead, draft: EventDraft, *, now_ms: int, redactor: Redacting
) -> tuple[Event, LogHead]:
    """Give a draft its place: normalise, redact, canonicalise, link (runs-api.md 3.3, 3.5).

    `ts` never goes back. Raises LogClosed after a terminal event and ValueError for an unknown type.
    """
    if head.terminal:
        raise LogClosed("the log has ended")
    family = FAMILY_OF.get(draft.type)
    if family is None:
        raise ValueError(f"no event type {draft.type}")
    sequence = head.sequence + 1
    envelope = _envelope(head, draft, family, sequence, max(draft.ts or timestamp(now_ms), head.last_ts))
    payload = normalise(dict(draft.payload), strict=False)
    found: Sequence[Redacted] = ()
    if not draft.redacted:
        payload, found = redactor.value(payload)
    redactions = [*draft.redactions, *found]
    envelope["payload"] = _with_summary(payload, draft.type)
    if redactions:
        envelope["redactions"] = [
            {"pointer": f"/payload{each.pointer}", "rule": each.rule, "count": each.count}
            for each in redactions
        ]
    link = link_hash(head.last_hash, leaf_hash(canonical_json(envelope)))
    body = canonical_json({**envelope, "prev_hash": head.last_hash, "hash": link})
    removed = sum(each.count for each in redactions)
    event = Event(sequence=sequence, type=draft.type, body=body, redactions=removed)
    after = replace(
        head, sequence=sequence, last_hash=link, last_ts=envelope["ts"], terminal=draft.type in TERMINAL_TYPES
    )
    return event, after


def _envelope(head: LogHead, draft: EventDraft, family: str, sequence: int, ts: str) -> dict[str, Any]:
    usage = draft.usage
    envelope: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "event_id": f"{head.run_id}-{sequence}",
        "run_id": head.run_id,
        "sequence": sequence,
        "ts": ts,
        "type": draft.type,
        "family": family,
        "actor": draft.actor,
        "duration_ms": round(draft.duration_ms, 3),
        "token_usage": usage.token_usage,
        # A zero stays whole: a float would need the slower way to canonical JSON.
        "cost_usd": None if usage.unpriced else usage.cost_micro_usd and usage.cost_micro_usd / 1_000_000,
        "usage": usage.document(),
    }
    optional = {
        "producer_key": draft.producer_key,
        "call_id": draft.call_id,
        "stage": draft.stage,
        "step_id": draft.step_id,
        "actor_detail": draft.actor_detail,
        "iteration": draft.iteration,
        "parent_event_id": draft.parent_event_id,
    }
    return envelope | {
        name: normalise(value, strict=False) for name, value in optional.items() if value is not None
    }


def _with_summary(payload: dict[str, Any], type_: str) -> dict[str, Any]:
    summary = str(payload.get("summary") or type_.replace("_", " "))
    return {**payload, "summary": summary if len(summary) <= 300 else summary[:299] + "…"}
