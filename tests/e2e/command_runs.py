"""Runs of kind `command` on a local server, and what is seen of them."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from tests.e2e.local_server import LocalServer, eventually
from tests.e2e.runs_client import Runs
from tests.e2e.terminal_client import frames, terminal


def command(run: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "command", "command": {"run": run, **fields}}


def python(code: str) -> str:
    return shlex.join([sys.executable, "-c", code])


def ended(runs: Runs, run_id: str) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        status = runs.get(run_id).json()
        return status if status["ended_at"] else None

    return eventually(found, "the run to end")


def events(runs: Runs, run_id: str, *types: str) -> list[dict[str, Any]]:
    return [event for line in runs.lines(run_id) if (event := json.loads(line))["type"] in types]


def watched(url: str) -> list[dict[str, Any]]:
    with terminal(url) as socket:
        return list(frames(socket))


def sleepers(seconds: str) -> list[psutil.Process]:
    return [each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == ["sleep", seconds]]


@contextmanager
def server_of_two(folder: Path) -> Iterator[LocalServer]:
    """A server with the tokens of two people of one tenant, and of another tenant: a…, b…, c…."""
    people = (("default", "a"), ("default", "b"), ("other", "c"))
    tokens = ",".join(f"{tenant}:{letter * 32}" for tenant, letter in people)
    found = LocalServer(folder, RUNE_API_AUTH_DISABLED="", RUNE_API_TOKENS=tokens)
    try:
        found.start()
        yield found
    finally:
        found.stop()
