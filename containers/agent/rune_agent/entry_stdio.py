"""`python -m rune_agent.entry_stdio`: one request on stdin, its answer on stdout (holmes-driver.md 2.2)."""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from typing import Any, BinaryIO, NoReturn
from uuid import uuid4

from rune_agent import process_limits, settings
from rune_agent.supervisor import Inbox, StopAsked, Supervisor
from rune_common.domain.driver_protocol import (
    MAX_LINE_BYTES,
    Action,
    DriverFailure,
    DriverRequest,
    DriverResult,
    DriverSuccess,
    MalformedLine,
    encode_line,
    failure,
    parse_request,
)

AGENT_VERSION = "0.45.0"
CANCELLED = StopAsked("cancelled", "the run was cancelled")
LIMITS = {
    "max_line_bytes": MAX_LINE_BYTES,
    "max_question_chars": 100_000,
    "max_steps": 100,
    "min_context_window": 12_288,
    "timeout_seconds": [10, 3_600],
}


class Lines:
    """The answer side: numbered events when the caller streams, and one final line."""

    def __init__(self, pipe: BinaryIO, request: DriverRequest) -> None:
        self._pipe = pipe
        self._request = request
        self._began = time.monotonic()
        self._seq = 0

    def event(self, name: str, data: dict[str, Any]) -> None:
        if self._request.stream:
            self._seq += 1
            elapsed = int((time.monotonic() - self._began) * 1_000)
            self._write(
                {"event": name, "seq": self._seq, "t_ms": elapsed, "data": data, "id": self._request.id}
            )

    def end(self, final: DriverResult) -> None:
        if isinstance(final, DriverFailure):
            self._put(final.line(self._request.id))
        else:
            self._write({"status": "ok", "result": final.result, "id": self._request.id})

    def _write(self, document: dict[str, Any]) -> None:
        self._put(encode_line(document))

    def _put(self, line: bytes) -> None:
        self._pipe.write(line)
        self._pipe.flush()


def serve(requests: BinaryIO, answers: BinaryIO, environment: dict[str, str]) -> None:
    """Read one request, answer it. Later input lines may cancel it; the end of input does not."""
    try:
        request = parse_request(requests.readline(MAX_LINE_BYTES + 1), new_id=str(uuid4()))
    except MalformedLine as exc:
        answers.write(failure("bad_request", f"bad request line: {exc}").line(""))
        answers.flush()
        return
    lines = Lines(answers, request)
    if request.action == Action.INFO:
        lines.end(DriverSuccess(info()))
    elif request.action == Action.CANCEL:
        # Nothing else runs in a process of one request.
        lines.end(DriverSuccess({"cancelled": False}))
    elif request.action == Action.ASK:
        lines.end(_ask(request, lines, requests, environment))
    else:
        lines.end(failure("unsupported_action", "the driver knows ask, info and cancel"))


def info() -> dict[str, Any]:
    return {
        "name": "holmes",
        "version": "1",
        "actions": ["ask", "info", "cancel"],
        "features": ["stream", "approval"],
        "agent_version": AGENT_VERSION,
        "limits": LIMITS,
    }


def _ask(
    request: DriverRequest, lines: Lines, requests: BinaryIO, environment: dict[str, str]
) -> DriverResult:
    try:
        chosen = settings.read(environment)
    except (ValueError, OSError) as exc:
        sys.stderr.write(f"settings: {type(exc).__name__}\n")
        return failure("agent_error", "the driver is misconfigured")
    inbox: Inbox = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: inbox.put(CANCELLED))
    threading.Thread(target=_watch_input, args=(requests, request.id, inbox), daemon=True).start()
    parent = os.getppid()
    return Supervisor(chosen, inbox, lines.event, lambda: os.getppid() == parent).ask(request.params)


def _watch_input(requests: BinaryIO, request_id: str, inbox: Inbox) -> None:
    while line := requests.readline(MAX_LINE_BYTES + 1):
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict) and document.get("action") == Action.CANCEL:
            named = (document.get("params") or {}).get("id") or document.get("id")
            if named == request_id:
                inbox.put(CANCELLED)


def main() -> NoReturn:
    process_limits.hide_memory()
    serve(sys.stdin.buffer, sys.stdout.buffer, dict(os.environ))
    sys.stdout.flush()
    # Threads that wait for a server or for input must not delay the end.
    os._exit(0)


if __name__ == "__main__":
    main()
