"""
What a driver and its caller say to each other: actions, events, final lines (holmes-driver.md 2).

One request line goes in; event lines may come out; exactly one final line ends the call. A line is
final if and only if it has `status`. This module holds the words and their parsing, never a process
or a socket: the standard library only, so that the agent's own interpreter can import it too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

MAX_LINE_BYTES = 16 * 1024 * 1024
"""Longest line of the protocol, either way (2.2)."""

STDERR_TAIL_CHARS = 2_000
"""How much of a driver's stderr is kept in `details` (2.2)."""

KILL_GRACE_SECONDS = 3.0
"""SIGTERM to SIGKILL when a call is stopped (2.7)."""

LINGER_SECONDS = 1.0
"""How long a driver's process group may live after its final line (2.7)."""

Json = dict[str, Any]


class Action(StrEnum):
    ASK = "ask"
    INFO = "info"
    CANCEL = "cancel"


class Outcome(StrEnum):
    COMPLETED = "completed"
    APPROVAL_REQUIRED = "approval_required"


class EventName(StrEnum):
    """Events of the driver itself and of the agent library (2.4)."""

    AGENT_STARTING = "agent_starting"
    PREFLIGHT = "preflight"
    PULL_PROGRESS = "pull_progress"
    AGENT_READY = "agent_ready"
    HEARTBEAT = "heartbeat"
    LLM_RETRY = "llm_retry"
    WARNING = "warning"
    START_TOOL_CALLING = "start_tool_calling"
    TOOL_CALLING_RESULT = "tool_calling_result"
    AI_MESSAGE = "ai_message"
    TOKEN_COUNT = "token_count"
    COMPACTION_START = "conversation_history_compaction_start"
    COMPACTED = "conversation_history_compacted"
    APPROVAL_REQUIRED = "approval_required"
    AI_ANSWER_END = "ai_answer_end"


@dataclass(frozen=True, slots=True)
class DriverRequest:
    action: str
    params: Json
    id: str
    stream: bool = True

    def line(self) -> bytes:
        document = {"action": self.action, "params": self.params, "id": self.id, "stream": self.stream}
        return encode_line(document)


@dataclass(frozen=True, slots=True)
class DriverEvent:
    """One event line. `seq` starts at 1 without gaps; `t_ms` counts from the driver's start."""

    event: str
    seq: int
    t_ms: int
    data: Json


@dataclass(frozen=True, slots=True)
class DriverSuccess:
    result: Json


@dataclass(frozen=True, slots=True)
class DriverFailure:
    error_code: str
    error: str
    retryable: bool = False
    details: Json = field(default_factory=dict)

    def line(self, request_id: str) -> bytes:
        return encode_line(
            {
                "status": "error",
                "error": self.error,
                "error_code": self.error_code,
                "retryable": self.retryable,
                "details": self.details,
                "id": request_id,
            }
        )


DriverResult = DriverSuccess | DriverFailure


class DriverCall(Protocol):
    """A call in flight. `events()` may be read once and ends with the final line."""

    def events(self) -> Iterator[DriverEvent]: ...
    def result(self) -> DriverResult:
        """Wait for the final line; events not read by then are dropped."""
        ...

    def cancel(self, reason: str) -> None:
        """Ask the driver to stop; idempotent, returns at once."""
        ...


class DriverTransport(Protocol):
    def start(self, action: str, params: Json, *, request_id: str, deadline: float) -> DriverCall:
        """Start one call. `deadline`: seconds from now after which the driver is stopped."""
        ...


class MalformedLine(ValueError):
    """A line that is no JSON object of the protocol."""


def encode_line(document: Mapping[str, Any]) -> bytes:
    """One UTF-8 line with its LF. Lone surrogates, which tools do print, become question marks."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.encode("utf-8", errors="replace") + b"\n"


def parse_request(line: bytes, new_id: str) -> DriverRequest:
    """Read a request line; `new_id` is used when it names none. Raises MalformedLine."""
    document = _object(line)
    params = document.get("params", {})
    request_id = document.get("id", new_id)
    stream = document.get("stream", False)
    if not isinstance(document.get("action"), str):
        raise MalformedLine("action is missing")
    if not isinstance(params, dict):
        raise MalformedLine("params is not an object")
    if not isinstance(request_id, str) or not isinstance(stream, bool):
        raise MalformedLine("id is not a string or stream not a boolean")
    if document["action"] == Action.CANCEL and not params and "id" in document:
        # The short form `{"action":"cancel","id"}` of a later input line names the call by `id`.
        params = {"id": request_id}
    return DriverRequest(document["action"], params, request_id or new_id, stream)


def parse_answer(document: Mapping[str, Any], request_id: str) -> DriverEvent | DriverResult:
    """
    Classify one answer object. An answer that names no id is accepted, since simple drivers echo none.
    An object of another call, or of an unknown shape, is a `protocol_error`.
    """
    if document.get("id", request_id) != request_id:
        return failure("protocol_error", "the driver answered another request")
    if "status" in document:
        return _final(document)
    event, data = document.get("event"), document.get("data", {})
    if not isinstance(event, str) or not isinstance(data, dict):
        return failure("protocol_error", "the driver sent a line that is neither an event nor an answer")
    return DriverEvent(event, _integer(document.get("seq")), _integer(document.get("t_ms")), data)


def _final(document: Mapping[str, Any]) -> DriverResult:
    status, result = document["status"], document.get("result")
    if status == "ok" and isinstance(result, dict):
        return DriverSuccess(result)
    if status != "error":
        return failure("protocol_error", "the driver sent a final line of unknown shape")
    code = document.get("error_code")
    details = document.get("details")
    known = code if isinstance(code, str) and code in ERRORS else "agent_error"
    retryable = document.get("retryable")
    return DriverFailure(
        known,
        str(document.get("error") or DRIVER_FAILED),
        retryable if isinstance(retryable, bool) else ERRORS[known].transient,
        details if isinstance(details, dict) else {},
    )


def _object(line: bytes) -> Json:
    try:
        document = json.loads(line)
    except (UnicodeDecodeError, ValueError, RecursionError) as exc:
        raise MalformedLine("not JSON") from exc
    if not isinstance(document, dict):
        raise MalformedLine("not an object")
    return document


def _integer(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


# -- errors (2.6) ----------------------------------------------------------------------------------

DRIVER_FAILED = "driver failed"
NO_OUTPUT = "driver returned no output"
INVALID_JSON = "driver returned invalid JSON"
TIMED_OUT = "driver timed out"
RUN_TIMED_OUT = "execution timeout exceeded"
"""Fixed texts of job errors; the first four follow `Agent error: `, the last stands alone."""

RATE_LIMIT_SSE_CODE = 5204


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """
    Where one driver `error_code` ends up.

    `transient`: may be tried again. `job` / `run`: the error codes of the job and run views; empty
    means the run is left as it is. `chat_status`: HTTP status of a chat answer, 0 if there is none.
    """

    transient: bool
    job: str
    run: str
    chat_status: int
    sse_code: int = 1


def _driver_error(run: str, chat_status: int, *, transient: bool = False, sse_code: int = 1) -> ErrorRule:
    return ErrorRule(transient, "driver_error", run, chat_status, sse_code)


ERRORS: Mapping[str, ErrorRule] = {
    "bad_request": _driver_error("AGENT_ERROR", 400),
    "unsupported_action": _driver_error("AGENT_ERROR", 400),
    "agent_not_installed": ErrorRule(False, "start_failed", "START_FAILED", 500),
    "backend_not_allowed": ErrorRule(False, "policy_denied", "POLICY_DENIED", 400),
    "backend_unreachable": _driver_error("LLM_UNREACHABLE", 502, transient=True),
    "backend_error": _driver_error("LLM_UNREACHABLE", 502, transient=True),
    "backend_timeout": _driver_error("LLM_UNREACHABLE", 504, transient=True),
    "backend_auth": _driver_error("LLM_UNREACHABLE", 502),
    "rate_limited": _driver_error("LLM_UNREACHABLE", 429, transient=True, sse_code=RATE_LIMIT_SSE_CODE),
    "model_not_found": ErrorRule(False, "model_not_found", "MODEL_NOT_AVAILABLE", 400),
    "model_lacks_tools": ErrorRule(False, "model_lacks_tools", "MODEL_LACKS_TOOLS", 400),
    "model_lacks_vision": ErrorRule(False, "model_lacks_vision", "MODEL_LACKS_VISION", 400),
    "model_load_failed": ErrorRule(True, "backend_warmup_failed", "BACKEND_WARMUP_FAILED", 502),
    "context_too_small": _driver_error("CONTEXT_WINDOW", 400),
    "context_window": _driver_error("CONTEXT_WINDOW", 400),
    "kubeconfig_invalid": _driver_error("AGENT_ERROR", 400),
    "kubeconfig_not_allowed": _driver_error("AGENT_ERROR", 400),
    "cluster_not_configured": _driver_error("AGENT_ERROR", 400),
    "cluster_unreachable": _driver_error("AGENT_ERROR", 502, transient=True),
    "cluster_auth": _driver_error("AGENT_ERROR", 502),
    "max_steps": _driver_error("MAX_STEPS", 500),
    "empty_answer": ErrorRule(False, "empty_answer", "EMPTY_ANSWER", 500),
    "tool_call_as_text": _driver_error("AGENT_ERROR", 500),
    "structured_output_invalid": _driver_error("AGENT_ERROR", 500),
    "agent_error": _driver_error("AGENT_ERROR", 500),
    "protocol_error": _driver_error("AGENT_ERROR", 500),
    "approval_not_pending": ErrorRule(False, "", "", 409, 0),
    "deadline_exceeded": _driver_error("AGENT_ERROR", 504),
    "cancelled": ErrorRule(False, "cancelled", "", 0),
    "agent_crashed": _driver_error("AGENT_ERROR", 500, transient=True),
    "agent_lost": ErrorRule(True, "worker_lost", "WORKER_LOST", 500),
    "attempt_superseded": ErrorRule(False, "", "", 0, 0),
}

RUN_DEADLINE = ErrorRule(False, "timeout", "RUN_TIMEOUT", 504)
"""`deadline_exceeded` when it was the run's own deadline and not the driver's limit."""


def failure(error_code: str, error: str, details: Json | None = None) -> DriverFailure:
    """A failure whose `retryable` follows the table above."""
    return DriverFailure(error_code, error, ERRORS[error_code].transient, details or {})
