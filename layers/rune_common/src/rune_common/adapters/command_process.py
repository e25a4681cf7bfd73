"""Shell commands as child processes of this one (runs-api.md 2.3)."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from contextlib import suppress
from typing import IO

from rune_common.adapters.lifeline import Lifeline
from rune_common.domain.commands import CommandStart, Output

_PIECE_BYTES = 65_536
_WAITING_PIECES = 32
"""A command that prints faster than its output is stored has to wait."""

_POLL_SECONDS = 0.02
_LINGER_SECONDS = 1.0
"""How long output of something that left the group is still waited for."""


class ProcessRunner:
    def start(self, wanted: CommandStart) -> CommandProcess:
        return CommandProcess(
            subprocess.Popen(
                list(wanted.argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(wanted.environment),
                cwd=wanted.folder,
                start_new_session=True,
            )
        )


class CommandProcess:
    """One command in a process group of its own; what is left of the group ends with its leader."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._lifeline = Lifeline(process.pid)
        self._pieces: queue.Queue[Output] = queue.Queue(_WAITING_PIECES)
        self._kill_at: float | None = None
        self._read_at = time.monotonic()
        self._over = threading.Event()
        assert process.stdout is not None
        assert process.stderr is not None
        pipes = {"stdout": process.stdout, "stderr": process.stderr}
        self._readers = [
            threading.Thread(target=self._read, args=pair, name=f"command-{pair[0]}", daemon=True)
            for pair in pipes.items()
        ]
        for reader in self._readers:
            reader.start()
        threading.Thread(target=self._mind, name="command", daemon=True).start()

    def read(self, timeout: float) -> Output | None:
        try:
            return self._pieces.get(timeout=timeout)
        except queue.Empty:
            return None

    @property
    def exit_code(self) -> int | None:
        if not self._over.is_set() or not self._pieces.empty():
            return None
        code = self._process.returncode
        return code if code >= 0 else 128 - code

    def stop(self, grace_seconds: float) -> None:
        until = time.monotonic() + grace_seconds
        if self._kill_at is None:
            self._signal(signal.SIGTERM)
        self._kill_at = until if self._kill_at is None else min(until, self._kill_at)

    def _read(self, stream: str, pipe: IO[bytes]) -> None:
        with suppress(ValueError, OSError), pipe:
            while data := os.read(pipe.fileno(), _PIECE_BYTES):
                self._read_at = time.monotonic()
                while not self._over.is_set():
                    try:
                        self._pieces.put(Output(stream, data), timeout=_POLL_SECONDS)
                        break
                    except queue.Full:
                        self._read_at = time.monotonic()

    def _mind(self) -> None:
        while self._process.poll() is None:
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                self._signal(signal.SIGKILL)
            time.sleep(_POLL_SECONDS)
        self._signal(signal.SIGKILL)
        self._lifeline.let_go()
        ended_at = time.monotonic()
        while any(reader.is_alive() for reader in self._readers):
            if time.monotonic() - max(ended_at, self._read_at) >= _LINGER_SECONDS:
                break
            time.sleep(_POLL_SECONDS)
        self._over.set()

    def _signal(self, number: signal.Signals) -> None:
        # The group outlives its leader while members remain, so a finished leader is no reason to skip it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
