"""A server of one's own for a trial: a free port, a token, a folder, and nothing of the user's settings."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

START_SECONDS = 60.0
INSTALLED = ("RUNE_KUBECTL", "RUNE_AGENT_PYTHON", "RUNE_HOLMES_DRIVER_CMD")
"""Where this machine has its tools: the only settings that a trial takes over."""


class DemoServer:
    """A context manager. `client` is the environment of a command line that uses it."""

    def __init__(self, folder: Path, environ: Mapping[str, str], settings: Mapping[str, str]) -> None:
        self._token, port = secrets.token_urlsafe(32), _free_port()
        self.url = f"http://127.0.0.1:{port}"
        inherited = {
            name: value
            for name, value in environ.items()
            if not name.startswith("RUNE_") and name not in ("CI", "VAST_API_KEY")
        }
        kept = {name: environ[name] for name in INSTALLED if name in environ}
        self._environment = (
            inherited
            | kept
            | {
                "RUNE_API_TOKENS": f"default:{self._token}",
                "RUNE_API_PORT": str(port),
                "RUNE_DATA_DIR": str(folder / "state"),
                "RUNE_LOG_LEVEL": "WARNING",
            }
            | dict(settings)
        )
        self.client = inherited | {"RUNE_API_TOKEN": self._token, "RUNE_API_BASE_URL": self.url}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([sys.executable, "-m", "rune.api"], env=self._environment)
        try:
            self._wait()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def get(self, path: str) -> bytes:
        """The body of a GET. Raises OSError."""
        request = urllib.request.Request(
            f"{self.url}{path}", headers={"Authorization": f"Bearer {self._token}"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            body: bytes = answer.read()
            return body

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _wait(self) -> None:
        until = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < until:
            try:
                self.get("/healthz")
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise SystemExit("the server did not start; see the message above")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
