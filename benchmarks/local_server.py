"""The product's local server as its user starts it, in processes of its own, and what they use."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from rune.local.functions import ROOT

START_SECONDS = 30.0
STOP_SECONDS = 15.0
ROLES = ("api", "worker", "database")
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes. Resident memory counts a shared page in each process, proportional memory once in all."""

    resident: float
    proportional: float


class LocalServer:
    """A running server on a port of loopback."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def await_health(self) -> None:
        """Returns after the first request for its health. Raises RuntimeError when there is no answer."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise RuntimeError("the local server did not start")

    def memory(self) -> dict[str, Memory]:
        """By role; what belongs to none of them, the shell that guards the database, is with the database."""
        found = {}
        for role, members in self._members().items():
            used = [member.memory_full_info() for member in members]
            found[role] = Memory(
                sum(each.rss for each in used) / MEGABYTE,
                sum(getattr(each, "pss", each.uss) for each in used) / MEGABYTE,
            )
        return found

    def cpu_seconds(self) -> dict[str, float]:
        """By role, since each process began; an agent's driver counts with the worker that waited for it."""
        found = {}
        for role, members in self._members().items():
            times = [member.cpu_times() for member in members]
            found[role] = sum(each.user + each.system for each in times)
            if role == "worker":
                found[role] += sum(each.children_user + each.children_system for each in times)
        return found

    def _members(self) -> dict[str, list[psutil.Process]]:
        server = psutil.Process(self._process.pid)
        found: dict[str, list[psutil.Process]] = {role: [] for role in ROLES}
        found["api"].append(server)
        for child in server.children():
            worker = "rune.local.worker" in child.cmdline()
            found["worker" if worker else "database"].append(child)
            if not worker:
                found["database"] += child.children()
        return found


@contextmanager
def local_server(data_dir: Path, variables: Mapping[str, str]) -> Iterator[LocalServer]:
    """Starts on entering, with `data_dir` as its state; ends with all that it started on leaving."""
    port = _free_port()
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(data_dir),
        "RUNE_API_AUTH_DISABLED": "1",
        "RUNE_DATA_DIR": str(data_dir),
        "RUNE_API_PORT": str(port),
        "RUNE_LOG_LEVEL": "WARNING",
        **variables,
    }
    with (data_dir.parent / f"{data_dir.name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "rune.api"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        started = LocalServer(process, port)
        try:
            started.await_health()
            yield started
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=STOP_SECONDS)
    for member in alive:
        member.kill()
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
