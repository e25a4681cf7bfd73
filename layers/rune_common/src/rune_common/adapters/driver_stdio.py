"""
A driver as a child process that speaks JSON lines on its pipes (holmes-driver.md 2.2, 2.7).

The request goes in as one line and stdin is closed, since simple drivers read to its end; a call is
therefore stopped by signals. Drivers that never stream may print one document over many lines.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from rune_common.adapters.lifeline import Lifeline
from rune_common.domain.driver_protocol import (
    DRIVER_FAILED,
    INVALID_JSON,
    KILL_GRACE_SECONDS,
    LINGER_SECONDS,
    MAX_LINE_BYTES,
    NO_OUTPUT,
    STDERR_TAIL_CHARS,
    TIMED_OUT,
    DriverCall,
    DriverEvent,
    DriverFailure,
    DriverRequest,
    DriverResult,
    Json,
    failure,
    parse_answer,
)

_POLL_SECONDS = 0.05


class StdioDriver:
    """
    Starts `command` once per call, in a process group of its own.

    `environment` is the driver's whole environment: an allow-list made by the caller, nothing is added.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = tuple(command)
        self._environment = dict(environment)

    def start(self, action: str, params: Json, *, request_id: str, deadline: float) -> DriverCall:
        """Start one call; after `deadline` seconds it is stopped with `deadline_exceeded`. Never raises."""
        request = DriverRequest(action, params, request_id).line()
        if len(request) > MAX_LINE_BYTES:
            return _NeverStarted(failure("bad_request", "the request is too large"))
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                start_new_session=True,
            )
        except OSError as exc:
            return _NeverStarted(
                failure("agent_not_installed", DRIVER_FAILED, {"reason": exc.strerror or ""})
            )
        return _StdioCall(process, request, request_id, time.monotonic() + deadline)


@dataclass(frozen=True, slots=True)
class _NeverStarted:
    failed: DriverFailure

    def events(self) -> Iterator[DriverEvent]:
        return iter(())

    def result(self) -> DriverResult:
        return self.failed

    def cancel(self, reason: str) -> None:
        """Nothing runs, so there is nothing to stop."""


@dataclass(slots=True)
class _Output:
    """What stdout has said so far. `text` is kept only as long as the driver has not begun to stream."""

    text: bytearray = field(default_factory=bytearray)
    skipped: int = 0
    streams: bool = False
    final: DriverResult | None = None


class _StdioCall:
    def __init__(
        self, process: subprocess.Popen[bytes], request: bytes, request_id: str, deadline: float
    ) -> None:
        self._process = process
        self._request_id = request_id
        self._deadline = deadline
        self._output = _Output()
        self._stderr_tail = ""
        self._stop_reason: str | None = None
        self._result: DriverResult | None = None
        self._done = threading.Event()
        self._drained = threading.Event()
        self._lifeline = Lifeline(process.pid)
        self._events: queue.SimpleQueue[DriverEvent | None] = queue.SimpleQueue()
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for run, pipe in ((self._read, process.stdout), (self._keep_tail, process.stderr)):
            threading.Thread(target=run, args=(pipe,), daemon=True).start()
        threading.Thread(target=_feed, args=(process.stdin, request), daemon=True).start()
        threading.Thread(target=self._mind, daemon=True).start()

    def events(self) -> Iterator[DriverEvent]:
        while (event := self._events.get()) is not None:
            yield event

    def result(self) -> DriverResult:
        self._done.wait()
        assert self._result is not None
        return self._result

    def cancel(self, reason: str) -> None:
        if self._stop_reason is None:
            self._stop_reason = reason or "cancelled"

    def _read(self, pipe: IO[bytes]) -> None:
        with suppress(ValueError, OSError), pipe:
            while line := pipe.readline(MAX_LINE_BYTES + 1):
                self._take(line)
        self._drained.set()

    def _take(self, line: bytes) -> None:
        output = self._output
        if output.final is not None or not line.strip():
            return
        if len(line) > MAX_LINE_BYTES:
            output.final = failure("protocol_error", "the driver sent a line that is too long")
            return
        document = _protocol_object(line)
        if document is None:
            output.skipped += 1
            if not output.streams and len(output.text) + len(line) <= MAX_LINE_BYTES:
                output.text += line
            return
        answer = parse_answer(document, self._request_id)
        if isinstance(answer, DriverEvent):
            output.streams = True
            self._events.put(answer)
        else:
            output.final = answer

    def _keep_tail(self, pipe: IO[bytes]) -> None:
        with suppress(ValueError, OSError), pipe:
            while chunk := os.read(pipe.fileno(), 65_536):
                text = self._stderr_tail + chunk.decode("utf-8", errors="replace")
                self._stderr_tail = text[-STDERR_TAIL_CHARS:]

    def _mind(self) -> None:
        """Wait for the end of the call, whichever way it comes, and leave no process behind."""
        timed_out = False
        while self._output.final is None and self._process.poll() is None:
            if self._stop_reason is None and time.monotonic() >= self._deadline:
                timed_out, self._stop_reason = True, TIMED_OUT
            if self._stop_reason is not None:
                self._signal(signal.SIGTERM)
                self._await(KILL_GRACE_SECONDS)
                break
            time.sleep(_POLL_SECONDS)
        if self._output.final is not None:
            self._await_exit(LINGER_SECONDS)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._lifeline.let_go()
        self._drained.wait(LINGER_SECONDS)
        self._result = self._conclude(timed_out)
        self._events.put(None)
        self._done.set()

    def _await(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._output.final is None and self._process.poll() is None and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)

    def _await_exit(self, seconds: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def _signal(self, number: signal.Signals) -> None:
        # The group outlives its leader while members remain, so a finished leader is no reason to skip it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _conclude(self, timed_out: bool) -> DriverResult:
        final = self._output.final or self._whole_document()
        details = {"stderr": self._stderr_tail, "skipped_lines": self._output.skipped}
        if timed_out and (final is None or isinstance(final, DriverFailure)):
            partial = final.details if final else {}
            return failure("deadline_exceeded", TIMED_OUT, {**details, **partial})
        if final is not None:
            if isinstance(final, DriverFailure):
                return DriverFailure(
                    final.error_code, final.error, final.retryable, {**details, **final.details}
                )
            return final
        if self._stop_reason is not None:
            return failure("cancelled", self._stop_reason, details)
        if self._process.returncode != 0:
            return failure("agent_crashed", DRIVER_FAILED, {**details, "exit": self._process.returncode})
        if self._output.streams:
            return failure("agent_crashed", DRIVER_FAILED, details)
        if self._output.skipped:
            return failure("protocol_error", INVALID_JSON, details)
        return failure("agent_crashed", NO_OUTPUT, details)

    def _whole_document(self) -> DriverResult | None:
        """The answer of a driver that printed one document over several lines."""
        document = _protocol_object(bytes(self._output.text))
        if document is None or "status" not in document:
            return None
        answer = parse_answer(document, self._request_id)
        return None if isinstance(answer, DriverEvent) else answer


def _feed(pipe: IO[bytes], request: bytes) -> None:
    # A driver may answer and leave without having read its input.
    with suppress(BrokenPipeError, OSError), pipe:
        pipe.write(request)


def _protocol_object(line: bytes) -> Json | None:
    """The JSON object in `line` if it is an event or an answer; None for any other output."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or not (
        "event" in document or document.get("status") in ("ok", "error")
    ):
        return None
    return document
