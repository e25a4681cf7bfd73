"""`terminal_session(state, input)`: the protocol `runtime.terminal.v1` without a transport (runs-api.md 5, 16).

A transport feeds what it receives and the run's log, in order from `state.position` on and only while the state is
`ready`; it sends the frames, and closes after one that has a `close_code`. Order and resume are one mechanism: the
cursor, which is the `seq` of the last chunk that was sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from rune_common.domain.events import TERMINAL_TYPES, Event
from rune_common.domain.json_fields import members, text
from rune_common.domain.terminal_frames import Frame, chunk_frame, error, step_frame
from rune_common.domain.terminal_inputs import (
    BAD_CURSOR,
    NORMAL,
    NOT_AUTHENTICATED,
    POLICY,
    Appended,
    Input,
    Opened,
    Received,
    Refused,
    Signal,
)

PROTOCOL = "runtime.terminal.v1"
MAX_MESSAGE_BYTES = 32_000
HEARTBEAT_SECONDS = 30
AUTH_SECONDS = 5.0
UNACKNOWLEDGED = 64
"""Chunks that may be on their way to a client that acknowledges."""

MAX_FORBIDDEN = 5
LATEST = "latest"


class Phase(Enum):
    WAITING = "waiting"
    """Nobody is authenticated."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Terminal:
    """One connection. `cursor`: the last chunk that was sent; `position`: the log's sequence that was read up to.

    `token` is what the client presented for the transport to check. `passed` is the last chunk that was met in the
    log, which is less than the cursor while a resume skips what its client has. `commands` of the steps that were
    met, by id.
    """

    phase: Phase = Phase.WAITING
    token: str = ""
    run_id: str = ""
    cursor: int = 0
    position: int = 0
    passed: int = 0
    head_seq: int = 0
    one_step: bool = False
    acknowledges: bool = False
    acknowledged: int = 0
    forbidden: int = 0
    exit_code: int | None = None
    commands: tuple[tuple[str, str], ...] = ()

    @property
    def ready(self) -> bool:
        """Whether the next event of the log is wanted now."""
        full = self.acknowledges and self.cursor - self.acknowledged >= UNACKNOWLEDGED
        return self.phase is Phase.OPEN and not full

    @property
    def closed(self) -> bool:
        return self.phase is Phase.CLOSED


Step = tuple[Terminal, list[Frame]]


def terminal_session(state: Terminal, given: Input) -> Step:
    """What becomes of the connection, and the frames to send. A closed one stays as it is."""
    if state.closed:
        return state, []
    match given:
        case Opened():
            return _opened(state, given)
        case Received():
            return _received(state, given.text)
        case Appended():
            return _appended(state, given.event)
        case Refused():
            return _closing(state, given.close_code, given.code, given.message)
        case Signal.SILENT:
            ping = {"type": "ping", "head_seq": state.head_seq}
            return state, [ping] if state.phase is Phase.OPEN else []


def _opened(state: Terminal, opened: Opened) -> Step:
    live = opened.cursor == LATEST and not opened.ended
    cursor = _cursor(opened.cursor, opened.head_seq)
    if cursor is None:
        return _bad_cursor(state)
    begun = replace(
        state,
        phase=Phase.OPEN,
        token="",
        run_id=opened.run_id,
        head_seq=opened.head_seq,
        acknowledges=opened.acknowledges,
        one_step=opened.one_step,
    )
    begun = _placed(begun, cursor)
    if live:
        begun = replace(begun, position=opened.head_position, passed=cursor)
    hello = {
        "type": "hello",
        "run_id": opened.run_id,
        "protocol": PROTOCOL,
        "cursor": cursor,
        "head_seq": opened.head_seq,
        "status": opened.status,
        "heartbeat_seconds": HEARTBEAT_SECONDS,
    }
    return begun, [hello]


def _placed(state: Terminal, cursor: int) -> Terminal:
    """Before the first chunk after the cursor.

    A log begins with `run_queued`, so no chunk has a place before its own number plus one: reading a run of one step
    need not begin at the log's start.
    """
    position = cursor if state.one_step else 0
    return replace(state, cursor=cursor, position=position, passed=0, acknowledged=cursor)


def _cursor(given: Any, head_seq: int) -> int | None:
    if given in (None, ""):
        return 0
    if given == LATEST:
        return head_seq
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) <= 9:
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int):
        return None
    return given if 0 <= given <= head_seq else None


def _received(state: Terminal, message: str | None) -> Step:
    found = _parsed(message) if message is not None else {}
    if state.phase is Phase.WAITING:
        token = found.get("token") if found and found.get("type") == "auth" else None
        if isinstance(token, str) and token and not state.token:
            return replace(state, token=token), []
        return _closing(
            state, NOT_AUTHENTICATED, "AUTH_REQUIRED", "the first message must be auth with a token"
        )
    if message is None:
        return _forbidden(state)
    if found is None:
        return state, [error("MESSAGE_INVALID", "a message is a JSON object with a type")]
    match found.get("type"):
        case "auth" | "pong":
            return state, []
        case "input" | "resize":
            return _forbidden(state)
        case "ack":
            seq = found.get("seq")
            if isinstance(seq, int) and not isinstance(seq, bool) and 0 <= seq <= state.cursor:
                return replace(state, acknowledged=max(seq, state.acknowledged)), []
            return state, [error("MESSAGE_INVALID", "seq is no chunk that was sent")]
        case "resume":
            cursor = _cursor(found.get("cursor"), state.head_seq)
            return _bad_cursor(state) if cursor is None else (_placed(state, cursor), [])
    return state, [error("MESSAGE_INVALID", "no such type of message")]


def _parsed(message: str) -> dict[str, Any] | None:
    if len(message.encode("utf-8", "replace")) > MAX_MESSAGE_BYTES:
        return None
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("type"), str) else None


def _forbidden(state: Terminal) -> Step:
    after = replace(state, forbidden=state.forbidden + 1)
    message = "the terminal is for reading"
    if after.forbidden >= MAX_FORBIDDEN:
        return _closing(after, POLICY, "INPUT_NOT_ALLOWED", message)
    return after, [error("INPUT_NOT_ALLOWED", message)]


def _appended(state: Terminal, event: Event) -> Step:
    if not state.ready or event.sequence != state.position + 1:
        return state, []
    after = replace(state, position=event.sequence)
    if event.type == "terminal_output":
        return _chunk(after, event.document())
    if event.type in ("step_started", "step_completed"):
        return _step(after, event.document())
    if event.type in TERMINAL_TYPES:
        ended = {
            "type": "exit",
            "status": text(members(event.document(), "payload"), "status"),
            "exit_code": after.exit_code,
            "head_seq": after.head_seq,
            "close_code": NORMAL,
        }
        return replace(after, phase=Phase.CLOSED), [ended]
    return after, []


def _chunk(state: Terminal, event: Mapping[str, Any]) -> Step:
    payload = members(event, "payload")
    seq = payload.get("terminal_seq")
    if not isinstance(seq, int):
        return state, []
    state = replace(state, passed=seq, head_seq=max(seq, state.head_seq))
    if seq <= state.cursor:
        return state, []
    frames: list[Frame] = []
    if seq > state.cursor + 1:
        frames.append({"type": "gap", "from_seq": state.cursor + 1, "to_seq": seq - 1, "reason": "retention"})
    frames.append(chunk_frame(seq, event, payload))
    return replace(state, cursor=seq), frames


def _step(state: Terminal, event: Mapping[str, Any]) -> Step:
    payload = members(event, "payload")
    step_id = text(event, "step_id") or text(payload, "step_id") or ""
    commands = dict(state.commands)
    if event.get("type") == "step_started":
        commands = {step_id: text(payload, "command") or ""}
    command = commands.pop(step_id, None)
    running = event.get("type") == "step_started"
    code = payload.get("exit_code")
    state = replace(
        state,
        commands=((step_id, command or ""),) if running else tuple(commands.items()),
        exit_code=code if isinstance(code, int) else state.exit_code,
    )
    if state.passed < state.cursor:
        return state, []  # its client has seen what came later
    return state, [step_frame(step_id, command or None, event, payload)]


def _bad_cursor(state: Terminal) -> Step:
    return _closing(state, BAD_CURSOR, "CURSOR_INVALID", "the cursor is no place in this run's output")


def _closing(state: Terminal, close_code: int, code: str, message: str) -> Step:
    return replace(state, phase=Phase.CLOSED, token=""), [error(code, message, close_code)]
