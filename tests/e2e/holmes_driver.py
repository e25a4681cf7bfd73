"""Asking the real HolmesGPT driver about simulated clusters, for the tests of this folder."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rune.sandbox.kube.sim import KubeSim
from rune.sandbox.ollama.server import OllamaSim
from rune_common.adapters.driver_stdio import StdioDriver
from rune_common.domain.driver_protocol import DriverCall, DriverEvent, DriverFailure, DriverSuccess

ROOT = Path(__file__).parents[2]
QUESTION = "What is unhealthy in this Kubernetes cluster?"


def agent_python() -> str:
    """The agent's interpreter; without it these tests cannot say anything."""
    path = os.environ.get("RUNE_AGENT_PYTHON") or str(ROOT / ".venv-agent/bin/python")
    if shutil.which(path) is None:
        pytest.fail("no agent environment: run `make agent-venv`")
    return path


def kubectl() -> str:
    path = os.environ.get("RUNE_KUBECTL") or shutil.which("kubectl")
    if path is None:
        pytest.fail("no kubectl: put one on PATH or name it in RUNE_KUBECTL")
    return path


def driver(**environment: str) -> StdioDriver:
    given = {"PATH": os.environ["PATH"], "RUNE_KUBECTL": kubectl(), **environment}
    return StdioDriver([agent_python(), "-m", "rune_agent.entry_stdio"], given)


@dataclass(frozen=True, slots=True)
class Asked:
    """A finished call. `names`: the events' names in order, without heartbeats."""

    events: list[DriverEvent]
    outcome: DriverSuccess | DriverFailure

    @property
    def result(self) -> dict[str, Any]:
        assert isinstance(self.outcome, DriverSuccess), self.outcome
        return self.outcome.result

    @property
    def failure(self) -> DriverFailure:
        assert isinstance(self.outcome, DriverFailure), self.outcome
        return self.outcome

    @property
    def names(self) -> list[str]:
        return [event.event for event in self.events if event.event != "heartbeat"]

    def data(self, name: str) -> list[dict[str, Any]]:
        return [event.data for event in self.events if event.event == name]


def params(ollama: OllamaSim, kube: KubeSim | None, question: str, **more: Any) -> dict[str, Any]:
    cluster = {} if kube is None else {"kubeconfig": kube.kubeconfig(), "require_cluster": True}
    return {
        "question": question,
        "model": "llama3.1:8b",
        "backend_url": ollama.url,
        "timeout_seconds": 60,
        **cluster,
        **more,
    }


def start(ollama: OllamaSim, kube: KubeSim | None, question: str, **more: Any) -> DriverCall:
    return driver().start("ask", params(ollama, kube, question, **more), request_id="r-1", deadline=120)


def ask(ollama: OllamaSim, kube: KubeSim | None, question: str, **more: Any) -> Asked:
    call = start(ollama, kube, question, **more)
    events = list(call.events())
    outcome = call.result()
    assert isinstance(outcome, DriverSuccess | DriverFailure)
    return Asked(events, outcome)


@contextmanager
def simulators(
    scenario: str, *, scripts: dict[str, Any] | None = None, writable: bool = False
) -> Iterator[Any]:
    with OllamaSim(scenarios=scripts) as ollama, KubeSim(scenario, writable=writable) as kube:
        yield ollama, kube


def chats(ollama: OllamaSim) -> list[Any]:
    return [request.json() for request in ollama.requests if request.path == "/api/chat"]


def bash(command: str, *prefixes: str) -> dict[str, Any]:
    """A scripted call of the agent's shell."""
    arguments = {"command": command, "suggested_prefixes": list(prefixes or ("kubectl get",)), "timeout": 30}
    return {"name": "bash", "arguments": arguments}


def session_of(leader: int) -> set[int]:
    """The processes of a session that still run, whether its leader does or not."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[3]) == leader and fields[0] != "Z":
                found.add(int(folder.name))
    return found


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
