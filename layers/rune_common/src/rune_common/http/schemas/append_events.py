"""Drafts of events that a client appends, on the wire (runs-api.md 2.7, 3)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from rune_common.domain.approval_policy import LEAST_SECONDS, MOST_SECONDS, Gate
from rune_common.domain.canonical import CanonicalError, canonical_json, normalise
from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.domain.events import EventUsage
from rune_common.domain.external_events import APPENDABLE, MAX_DRAFTS, ExternalDraft, parse_time
from rune_common.domain.run_errors import EventTypeNotAllowed
from rune_common.http.body import JsonObject
from rune_common.http.schemas.create_run import Strict
from rune_common.http.schemas.strict_fields import parsed
from rune_common.http.schemas.tolerance import showable

MAX_CHUNK_BYTES = 8192
MAX_APPROVALS = 10
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
StepId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class DraftUsage(Strict):
    """What one event used; its tokens in parts, or only their sum. Cost in USD, null when it is not known."""

    token_usage: Count | None = None
    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    llm_calls: Count = 0
    tool_calls: Count = 0
    cost_usd: float | None = Field(None, ge=0, le=1_000_000)
    unpriced: bool = False
    model: str | None = Field(None, max_length=128)
    provider: str | None = Field(None, max_length=64)

    def usage(self) -> EventUsage:
        return EventUsage(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            llm_calls=self.llm_calls,
            tool_calls=self.tool_calls,
            cost_micro_usd=round((self.cost_usd or 0) * 1_000_000),
            unpriced=self.unpriced,
            model=self.model,
            cache_read_tokens=self.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens,
            provider=self.provider,
            reported_tokens=self.token_usage,
        )


class ActorDetail(Strict):
    kind: Literal["system", "agent", "human", "service"]
    id: str = Field(min_length=1, max_length=128)
    model: str | None = Field(None, max_length=128)
    persona: str | None = Field(None, max_length=128)
    role: str | None = Field(None, max_length=128)


class EventDraftBody(Strict):
    """One draft. `ts` is ISO-8601 with an offset; `payload` depends on the type."""

    producer_key: str = Field(pattern=r"^[^\x00-\x1f\x7f]{1,128}$")
    type: str = Field(max_length=64)
    payload: dict[str, Any]
    actor: str | None = Field(None, min_length=1, max_length=128)
    actor_detail: ActorDetail | None = None
    ts: str | None = Field(None, max_length=64)
    duration_ms: float = Field(0, ge=0, le=2**53 - 1)
    usage: DraftUsage = DraftUsage.model_construct()
    stage: str | None = Field(None, pattern=r"^[A-Z_]{1,40}$")
    step_id: StepId | None = None
    call_id: str | None = Field(None, min_length=1, max_length=128)
    iteration: Count | None = None
    parent_event_id: str | None = Field(None, max_length=128)


class AppendEvents(Strict):
    """Several drafts; the body may also be one of them by itself."""

    events: Annotated[list[EventDraftBody], Field(min_length=1, max_length=MAX_DRAFTS)]


def parse_append(body: JsonObject) -> tuple[list[ExternalDraft], tuple[str, ...]]:
    """The drafts of `{events: […]}`, or of one draft, and what has no meaning in them.

    Raises InvalidRequest and EventTypeNotAllowed.
    """
    several = "events" in body.members
    drafts = body.members["events"] if several else [body.members]
    if not isinstance(drafts, list) or not 1 <= len(drafts) <= MAX_DRAFTS:
        raise InvalidRequest(FieldProblem("events", "length", f"must be a list of 1 to {MAX_DRAFTS} drafts"))
    found, ignored, problems = [], [], []
    for number, raw in enumerate(drafts):
        prefix = f"events.{number}." if several else ""
        try:
            draft, unknown = _draft(raw, prefix)
        except EventTypeNotAllowed:
            raise
        except InvalidRequest as exc:
            problems += [FieldProblem(prefix + each.field, each.code, each.message) for each in exc.problems]
            continue
        found.append(draft)
        ignored += [prefix + name for name in unknown]
    if several:
        ignored += [name for name in body.members if name != "events"]
    if sum(each.type == "approval_requested" for each in found) > MAX_APPROVALS:
        problems.append(FieldProblem("events", "too_many", f"may ask for {MAX_APPROVALS} approvals at once"))
    if problems:
        raise InvalidRequest(*problems)
    return found, showable(ignored)


def _draft(raw: Any, prefix: str) -> tuple[ExternalDraft, tuple[str, ...]]:
    if not isinstance(raw, Mapping):
        raise InvalidRequest(FieldProblem("body", "type", "must be an object"))
    read = parsed(EventDraftBody, raw)
    body = read.value
    if body.type not in APPENDABLE:
        raise EventTypeNotAllowed(f"{prefix}type")
    try:
        payload = normalise(body.payload, strict=True)
        digest = hashlib.sha256(canonical_json(normalise(dict(raw), strict=True))).hexdigest()
    except CanonicalError:
        raise InvalidRequest(FieldProblem("payload", "invalid", "has what a log cannot hold")) from None
    problems = tuple(_problems(body, payload))
    if problems:
        raise InvalidRequest(*problems)
    draft = ExternalDraft(
        producer_key=body.producer_key,
        type=body.type,
        payload=payload,
        digest=digest,
        actor=body.actor,
        actor_detail=body.actor_detail.model_dump(exclude_none=True) if body.actor_detail else None,
        sent_at=None if body.ts is None else parse_time(body.ts),
        duration_ms=body.duration_ms,
        usage=body.usage.usage(),
        stage=body.stage,
        step_id=body.step_id,
        call_id=body.call_id,
        iteration=body.iteration,
        parent_event_id=body.parent_event_id,
    )
    return draft, read.ignored


def _problems(body: EventDraftBody, payload: Mapping[str, Any]) -> Iterator[FieldProblem]:
    usage = body.usage
    if usage.unpriced and usage.cost_usd is not None:
        yield FieldProblem("usage.cost_usd", "conflict", "must be null when unpriced")
    if body.ts is not None and not _is_time(body.ts):
        yield FieldProblem("ts", "format", "must be ISO-8601 with an offset")
    summary = payload.get("summary")
    if summary is not None and not (isinstance(summary, str) and 1 <= len(summary) <= 300):
        yield FieldProblem("payload.summary", "length", "must have 1 to 300 characters")
    finding = payload.get("finding")
    told = {"step_id": body.step_id, "call_id": body.call_id, **payload}
    told.setdefault("fingerprint", finding.get("fingerprint") if isinstance(finding, Mapping) else None)
    for name, fits, message in _MEMBERS.get(body.type, ()):
        if not fits(told.get(name)):
            yield FieldProblem(f"payload.{name}", "invalid", message)
    if body.type == "terminal_output" and not _is_chunk(payload):
        yield FieldProblem(
            "payload.data", "invalid", f"must be at most {MAX_CHUNK_BYTES} bytes in its encoding"
        )


def _is_time(text: str) -> bool:
    try:
        parse_time(text)
    except (ValueError, OverflowError):
        return False
    return True


def _is_chunk(payload: Mapping[str, Any]) -> bool:
    data = payload.get("data")
    if not isinstance(data, str):
        return False
    if payload.get("encoding") == "utf8":
        return len(data.encode()) <= MAX_CHUNK_BYTES and len(json.dumps(data)) <= 3 * MAX_CHUNK_BYTES
    try:
        return len(base64.b64decode(data, validate=True)) <= MAX_CHUNK_BYTES
    except (ValueError, binascii.Error):
        return False


def _text(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 1024


def _object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _maybe(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


def _digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value, re.ASCII) is not None


def _waiting_time(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and LEAST_SECONDS <= value <= MOST_SECONDS


def _one_of(*known: str | None) -> Callable[[Any], bool]:
    return lambda value: value in known


def _step(value: Any) -> bool:
    return (
        isinstance(value, str) and 1 <= len(value) <= 64 and value.replace("-", "").replace("_", "").isalnum()
    )


def _stage(value: Any) -> bool:
    letters = isinstance(value, str) and 1 <= len(value) <= 40 and value.replace("_", "A").isalpha()
    return letters and value.isascii() and value.isupper()


_Rule = tuple[str, Callable[[Any], bool], str]
_STEP: _Rule = ("step_id", _step, "must be a step's id")
_CALL: _Rule = ("call_id", _text, "is required")
_FINDING: _Rule = ("finding", _object, "must be an object")
_KNOWN_FINDING: _Rule = ("fingerprint", _text, "is required")
_MEMBERS: Mapping[str, tuple[_Rule, ...]] = {
    "stage_changed": (("stage", _stage, "must match [A-Z_]{1,40}"),),
    "step_started": (_STEP,),
    "step_completed": (
        _STEP,
        ("state", _one_of("succeeded", "failed", "skipped", "cancelled"), "must be a state of steps"),
    ),
    "tool_call": (_CALL, ("tool_name", _text, "is required")),
    "tool_result": (
        _CALL,
        (
            "status",
            _one_of("success", "no_data", "error", "denied", "aborted"),
            "must be a status of results",
        ),
    ),
    "terminal_output": (
        _STEP,
        ("stream", _one_of("stdout", "stderr", "system"), "must be stdout, stderr or system"),
        ("encoding", _one_of("utf8", "base64"), "must be utf8 or base64"),
    ),
    "approval_requested": (
        ("gate", _one_of(*Gate), "must be a gate"),
        ("summary", _text, "is required"),
        ("subject_digest", _digest, "must be the SHA-256 of the subject, 64 hex digits"),
        ("subject", _maybe(_object), "must be an object"),
        ("why", _maybe(_text), "must have 1 to 1024 characters"),
        ("risk", _one_of(None, "low", "medium", "high"), "must be low, medium or high"),
        ("timeout_seconds", _maybe(_waiting_time), "must be 5 to 2592000"),
    ),
    "finding_opened": (_FINDING,),
    "finding_updated": (_KNOWN_FINDING, _FINDING),
    "finding_resurfaced": (_KNOWN_FINDING, _FINDING),
    "finding_resolved": (
        _KNOWN_FINDING,
        ("resolution", _one_of("fixed", "waived", "false_positive", "unobserved"), "must be a resolution"),
    ),
    "gate_result": (
        ("gate_id", _text, "is required"),
        ("gate_status", _one_of("passed", "failed", "skipped", "error"), "must be a status of gates"),
    ),
}
