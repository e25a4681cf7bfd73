"""Stopping the real agent: cancel, deadline, a killed supervisor; nothing survives."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.e2e.holmes_driver import (
    agent_python,
    bash,
    chats,
    kill,
    kubectl,
    params,
    session_of,
    simulators,
    start,
    wait_for,
)

from rune_common.domain.driver_protocol import DriverFailure

pytestmark = pytest.mark.agent

HANG = {"match": {"path": "/api/v1/*pods*"}, "kind": "hang"}


def test_a_cancel_ends_a_long_model_call_within_ten_seconds() -> None:
    with simulators("healthy") as (ollama, kube):
        call = start(ollama, kube, "Wait. [[slow]]")
        child = next(call.events()).data["pid"]
        wait_for(lambda: bool(chats(ollama)), 60)
        began = time.monotonic()
        call.cancel("by the user")
        outcome = call.result()
        took = time.monotonic() - began
    assert isinstance(outcome, DriverFailure)
    assert outcome.error_code == "cancelled"
    assert outcome.details["llm_calls"] == 1
    assert took < 10, "the contract's own limit"
    wait_for(lambda: not session_of(child), 2)


def test_a_cancel_line_on_stdin_works_too() -> None:
    with simulators("healthy") as (ollama, kube), spawned(params(ollama, kube, "Wait. [[slow]]")) as process:
        wait_for(lambda: bool(chats(ollama)), 60)
        process.stdin.write('{"action":"cancel","id":"other"}\n{"action":"cancel","id":"r-1"}\n')
        process.stdin.flush()
        final = json.loads(process.stdout.readlines()[-1])
        assert process.wait(10) == 0
    assert (final["status"], final["error_code"], final["id"]) == ("error", "cancelled", "r-1")


def test_the_end_of_input_is_not_a_cancel() -> None:
    with simulators("healthy") as (ollama, kube), spawned(params(ollama, kube, "Say. [[plain]]")) as process:
        process.stdin.close()
        assert json.loads(process.stdout.readlines()[-1])["status"] == "ok"


def test_a_killed_supervisor_takes_the_child_with_it() -> None:
    with simulators("healthy") as (ollama, kube), spawned(params(ollama, kube, "Wait. [[slow]]")) as process:
        child = json.loads(process.stdout.readline())["data"]["pid"]
        wait_for(lambda: bool(chats(ollama)), 60)
        kill(process.pid)
        process.wait()
        wait_for(lambda: not session_of(child), 2)


def test_a_cluster_that_never_answers_does_not_outlast_the_deadline() -> None:
    scripts = {"hanging": [{"tool_calls": [bash("kubectl get pods -A")]}, {"content": "It hangs."}]}
    with simulators("healthy", scripts=scripts) as (ollama, kube):
        kube.fault(**HANG)
        call = start(ollama, kube, "Look. [[hanging]]", timeout_seconds=12)
        began = time.monotonic()
        child = next(call.events()).data["pid"]
        outcome = call.result()
        took = time.monotonic() - began
    assert isinstance(outcome, DriverFailure)
    assert outcome.error_code == "deadline_exceeded"
    assert took < 12 + 4, "the deadline and the time to stop"
    wait_for(lambda: not session_of(child), 2)


def test_the_end_of_the_callers_process_ends_the_run() -> None:
    # A background command of a shell reads from nowhere unless it is given the input by another number.
    shell = ["/bin/sh", "-c", 'exec 3<&0; "$0" "$@" <&3 & wait', *command()]
    with (
        simulators("healthy") as (ollama, kube),
        spawned(params(ollama, kube, "Wait. [[slow]]"), shell) as caller,
    ):
        child = json.loads(caller.stdout.readline())["data"]["pid"]
        caller.kill()
        caller.wait()
        wait_for(lambda: not session_of(child), 10)


def command() -> list[str]:
    return [agent_python(), "-m", "rune_agent.entry_stdio"]


@contextmanager
def spawned(given: dict[str, Any], shell: list[str] | None = None) -> Iterator[Any]:
    """The driver with its pipes open, the request written."""
    with subprocess.Popen(
        shell or command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", "RUNE_KUBECTL": kubectl()},
        text=True,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(
            json.dumps({"action": "ask", "params": given, "id": "r-1", "stream": True}) + "\n"
        )
        process.stdin.flush()
        try:
            yield process
        finally:
            process.kill()
