"""Stopping the real agent: cancel, deadline, a killed supervisor; nothing survives."""

from __future__ import annotations

import json
import subprocess
import time

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
    with simulators("healthy") as (ollama, kube):
        process = spawn(params(ollama, kube, "Wait. [[slow]]"))
        assert process.stdin is not None
        assert process.stdout is not None
        wait_for(lambda: bool(chats(ollama)), 60)
        process.stdin.write('{"action":"cancel","id":"other"}\n{"action":"cancel","id":"r-1"}\n')
        process.stdin.flush()
        final = json.loads(process.stdout.readlines()[-1])
        process.stdin.close()
        assert process.wait(10) == 0
    assert (final["status"], final["error_code"], final["id"]) == ("error", "cancelled", "r-1")


def test_a_killed_supervisor_takes_the_child_with_it() -> None:
    with simulators("healthy") as (ollama, kube):
        process = spawn(params(ollama, kube, "Wait. [[slow]]"))
        assert process.stdout is not None
        child = json.loads(process.stdout.readline())["data"]["pid"]
        wait_for(lambda: bool(chats(ollama)), 60)
        kill(process.pid)
        process.wait()
        wait_for(lambda: not session_of(child), 2)
        process.stdout.close()


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
    with simulators("healthy") as (ollama, kube):
        request = {
            "action": "ask",
            "params": params(ollama, kube, "Wait. [[slow]]"),
            "id": "r-1",
            "stream": True,
        }
        caller = subprocess.Popen(
            ["/bin/sh", "-c", '"$0" -m rune_agent.entry_stdio & wait', agent_python()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "RUNE_KUBECTL": kubectl()},
            text=True,
        )
        assert caller.stdin is not None
        assert caller.stdout is not None
        caller.stdin.write(json.dumps(request) + "\n")
        caller.stdin.flush()
        child = json.loads(caller.stdout.readline())["data"]["pid"]
        caller.kill()
        caller.wait()
        wait_for(lambda: not session_of(child), 10)
        caller.stdin.close()
        caller.stdout.close()


def spawn(given: dict[str, object]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [agent_python(), "-m", "rune_agent.entry_stdio"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", "RUNE_KUBECTL": kubectl()},
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"action": "ask", "params": given, "id": "r-1", "stream": True}) + "\n")
    process.stdin.flush()
    return process
