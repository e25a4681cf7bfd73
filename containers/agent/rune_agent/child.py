"""
The child: imports the library, serves exactly one request, ends (holmes-driver.md 1.3, 2.7).

Started as `python -m rune_agent.child <supervisor's pid>`. Reads one order line, writes event lines and
one final line. Whatever the library prints goes to stderr.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from rune_agent import process_limits
from rune_agent.order import Order
from rune_agent.problems import AgentProblem
from rune_common.domain.driver_protocol import DriverFailure, EventName, encode_line, failure

if TYPE_CHECKING:
    from rune_agent.investigation import Investigation

HEARTBEAT_SECONDS = 5.0
WATCHDOG_SECONDS = 2.0
"""From the stop signal to the final line when the library does not return (2.7)."""


class Channel:
    """The way back to the supervisor. Lines are whole, whichever thread writes them."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._ended = False

    def emit(self, event: str, data: dict[str, Any]) -> None:
        with self._lock:
            if not self._ended:
                self._write({"event": event, "data": data})

    def end(self, document: dict[str, Any]) -> None:
        """Write the final line. The first one counts."""
        with self._lock:
            if not self._ended:
                self._ended = True
                self._write(document)

    def _write(self, document: dict[str, Any]) -> None:
        self._pipe.write(encode_line(document))
        self._pipe.flush()


class Phase:
    """What the child does at the moment, for the heartbeat."""

    def __init__(self) -> None:
        self._name, self._since = "import", time.monotonic()
        self.llm_calls = 0

    def enter(self, name: str) -> None:
        self._name, self._since = name, time.monotonic()

    def report(self) -> dict[str, Any]:
        elapsed = int((time.monotonic() - self._since) * 1_000)
        return {"phase": self._name, "phase_ms": elapsed, "llm_calls": self.llm_calls}


class Child:
    def __init__(self, channel: Channel, parent: int) -> None:
        self._channel = channel
        self._parent = parent
        self._phase = Phase()
        self._stop = threading.Event()
        self._investigation: Investigation | None = None

    def run(self, requests: BinaryIO) -> NoReturn:
        started = time.monotonic()
        signal.signal(signal.SIGTERM, self._on_stop)
        threading.Thread(target=self._beat, daemon=True).start()
        try:
            from rune_agent.investigation import Investigation

            self._phase.enter("waiting")
            order = Order(**json.loads(requests.readline()))
            # Tools inherit fd 0; they must find nothing there.
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            self._investigation = Investigation(
                order, self._channel.emit, self._phase, self._stop, startup_ms=_ms_since(started)
            )
            final = {"status": "ok", "result": self._investigation.run()}
        except AgentProblem as problem:
            final = _error(problem.failure())
        except Exception as exc:
            sys.stderr.write(f"{type(exc).__name__}: {exc}\n")
            final = _error(failure("agent_error", "the agent failed unexpectedly"))
        self._end(final)

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT_SECONDS)
            if os.getppid() != self._parent:
                os._exit(1)
            self._channel.emit(EventName.HEARTBEAT, self._phase.report())

    def _on_stop(self, _number: int, _frame: object) -> None:
        if not self._stop.is_set():
            self._stop.set()
            threading.Thread(target=self._watchdog, daemon=True).start()

    def _watchdog(self) -> None:
        time.sleep(WATCHDOG_SECONDS)
        partial = self._investigation.partial() if self._investigation else {}
        self._end(_error(failure("cancelled", "the run was stopped", partial)))

    def _end(self, final: dict[str, Any]) -> NoReturn:
        self._channel.end(final)
        # Threads of stuck tools must not delay the end.
        os._exit(0)


def _error(failed: DriverFailure) -> dict[str, Any]:
    return {
        "status": "error",
        "error": failed.error,
        "error_code": failed.error_code,
        "retryable": failed.retryable,
        "details": failed.details,
    }


def _ms_since(started: float) -> int:
    return int((time.monotonic() - started) * 1_000)


def main() -> NoReturn:
    parent = int(sys.argv[1])
    process_limits.hide_memory()
    process_limits.die_with(parent)
    os.umask(0o077)
    # From here on fd 1 is stderr, so that no print of the library reaches the protocol.
    protocol = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    Child(Channel(protocol), parent).run(sys.stdin.buffer)


if __name__ == "__main__":
    main()
