"""A running child, seen from the supervisor: its pipes, its process group (holmes-driver.md 1.3, 2.7)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from rune_common.domain.driver_protocol import MAX_LINE_BYTES, STDERR_TAIL_CHARS, encode_line

LOG_LIMIT_CHARS = 256 * 1024


@dataclass(frozen=True, slots=True)
class ChildLine:
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChildEnded:
    """stdout is at its end: the child is gone or about to be."""


class ChildProcess:
    """
    Must be created in the main thread: the child asks to die with the thread that created it.
    `tell` is called from other threads with each line and with the end.
    """

    def __init__(
        self,
        python: str,
        environment: dict[str, str],
        folder: str,
        tell: Callable[[ChildLine | ChildEnded], None],
    ) -> None:
        self._process = subprocess.Popen(
            # `-P` keeps the working directory, which is the child's own, off the module path.
            [python, "-P", "-m", "rune_agent.child", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        self._log = ""
        self._tell = tell
        self._threads = [
            threading.Thread(target=target, args=(pipe,), daemon=True)
            for target, pipe in ((self._read, self._process.stdout), (self._keep_log, self._process.stderr))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        """The end of what the child wrote to stderr."""
        return self._log

    @property
    def log_tail(self) -> str:
        return self._log[-STDERR_TAIL_CHARS:]

    def send(self, document: dict[str, Any]) -> None:
        """Hand the order over. A child that is gone is noticed by its end, not here."""
        assert self._process.stdin is not None
        with suppress(OSError, ValueError), self._process.stdin as pipe:
            pipe.write(encode_line(document))

    def ask_to_stop(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the whole group, kubectl included, and wait for the leader."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        for thread in self._threads:
            thread.join(1.0)
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):
            self._process.stdin.close()

    def wait(self, seconds: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _read(self, pipe: IO[bytes]) -> None:
        with suppress(OSError, ValueError), pipe:
            while line := pipe.readline(MAX_LINE_BYTES + 1):
                document = _object(line)
                if document is not None:
                    self._tell(ChildLine(document))
        self._tell(ChildEnded())

    def _keep_log(self, pipe: IO[bytes]) -> None:
        with suppress(OSError, ValueError), pipe:
            while chunk := os.read(pipe.fileno(), 65_536):
                self._log = (self._log + chunk.decode("utf-8", errors="replace"))[-LOG_LIMIT_CHARS:]


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
