"""`python -m rune.api` as a user starts it, on a folder and a port of its own, for the tests of this folder."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import httpx
import psutil

ROOT = Path(__file__).parents[2]
STAND_IN = ROOT / "tests/e2e/drivers/stand_in.py"
PATIENCE_SECONDS = 90.0
GONE_SECONDS = 15.0

T = TypeVar("T")


class LocalServer:
    """One server process with what it starts. `folder` is in the environment or command line of all of them."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.record = folder / "driver.jsonl"
        self.log = folder / "server.log"
        self.home = folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.environment = {
            # Everything that is started has this PATH, so it can be found by the folder's name.
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
            "HOME": str(self.home),
            "RUNE_DATA_DIR": str(self.data_dir),
            "RUNE_API_PORT": str(self.port),
            "RUNE_API_AUTH_DISABLED": "1",
            "RUNE_API_AUTH_RATE_BURST": "10000",
            "RUNE_API_AUTH_RATE_PER_SECOND": "10000",
            "RUNE_HOLMES_DRIVER_CMD": shlex.join([sys.executable, "-S", str(STAND_IN), str(self.record)]),
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when the server answers."""
        self.start_only()
        eventually(self._answers, "the server to answer")

    def start_only(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "rune.api"],
                env=self.environment,
                cwd=self.folder,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def kill(self) -> None:
        """As `kill -9` does: nothing is tidied up."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def stop(self) -> None:
        """End what is left of the server, and of everything that it started."""
        if self.process is not None and self.process.poll() is None:
            self.terminate()
        for process in self.processes():
            process.kill()

    def worker(self) -> psutil.Process | None:
        return next((found for found in self.processes() if "rune.local.worker" in command_line(found)), None)

    def processes(self, word: str = "") -> list[psutil.Process]:
        """Processes of this server, itself among them, whose command line holds `word`."""
        found = []
        for process in psutil.process_iter():
            try:
                marked = str(self.folder) in command_line(process) or str(self.folder) in str(
                    process.environ()
                )
                ours = process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE
                if marked and ours and word in command_line(process):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def family(self) -> list[psutil.Process]:
        """The server's processes and what they started, also where that knows nothing of the folder."""
        found = self.processes()
        for process in list(found):
            with suppress(psutil.Error):
                found += [child for child in process.children(recursive=True) if child not in found]
        return found

    def all_gone(self, family: Sequence[psutil.Process] = ()) -> None:
        """Wait until no process of this server and none of `family` is left."""

        def left() -> list[str]:
            return [command_line(each) for each in (*self.processes(), *filter(_alive, family))]

        eventually(lambda: not left(), lambda: f"to be gone: {left()}", seconds=GONE_SECONDS)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        try:
            return httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False


def command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def eventually(
    found: Callable[[], T],
    what: str | Callable[[], str] = "what was asked for",
    *,
    seconds: float = PATIENCE_SECONDS,
) -> T:
    """The first answer that is true; fails when none comes in time."""
    until = time.monotonic() + seconds
    while not (answer := found()):
        if time.monotonic() >= until:
            raise AssertionError(f"waited in vain for {what if isinstance(what, str) else what()}")
        time.sleep(0.05)
    return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
