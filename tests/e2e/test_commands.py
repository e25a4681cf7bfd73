"""Commands on the local stack (runs-api.md 2.3; acceptance 6, 35)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.command_runs import command, ended, events, server_of_two, sleepers, watched
from tests.e2e.local_server import LocalServer, eventually
from tests.e2e.runs_client import Runs
from tests.e2e.terminal_client import joined


@pytest.fixture
def runs(server: LocalServer) -> Runs:
    return Runs(server.url)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with server_of_two(tmp_path_factory.mktemp("guarded")) as found:
        yield found


def test_what_a_command_prints_is_in_its_files_and_digests(server: LocalServer, runs: Runs) -> None:
    run_id = runs.create(
        **command("printf abc; printf de >&2; mkdir d; printf x > d/r.txt", artifacts=["**/*.txt"])
    )["run_id"]
    ended(runs, run_id)
    (done,) = events(runs, run_id, "step_completed")
    payload = done["payload"]
    assert payload["stdout_sha256"] == hashlib.sha256(b"abc").hexdigest()
    assert (payload["stdout_bytes"], payload["stderr_bytes"]) == (3, 2)
    listed = runs.get(run_id, "/artifacts").json()["artifacts"]
    contents = {
        each["name"]: runs.get(run_id, f"/artifacts/{each['artifact_id']}").content for each in listed
    }
    assert contents["main.stdout.log"] == b"abc"
    assert contents["main.stderr.log"] == b"de"
    assert contents["d_r.txt"] == b"x"


def test_a_command_sees_nothing_of_the_server(server: LocalServer, runs: Runs) -> None:
    run_id = runs.create(**command("env; cat; pwd", env={"MINE": "given"}))["run_id"]
    ended(runs, run_id)
    shown = joined(watched(f"{server.url}/api/v1/runs/{run_id}/terminal")).decode()
    names = {line.partition("=")[0] for line in shown.splitlines() if "=" in line}
    assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == {
        "PATH",
        "HOME",
        "LANG",
        "TERM",
        "CI",
        "RUNE_RUN_ID",
        "MINE",
    }
    assert f"RUNE_RUN_ID={run_id}" in shown


@pytest.mark.parametrize(
    ("run", "fields", "code", "exit_code"),
    [
        ("exit 7", {}, "COMMAND_FAILED", 7),
        ("kill -9 $$", {}, "COMMAND_FAILED", 137),
        ("sleep 600", {"timeout_seconds": 1}, "COMMAND_TIMEOUT", 143),
    ],
)
def test_a_command_that_does_not_succeed_fails_its_run(
    runs: Runs, run: str, fields: dict[str, Any], code: str, exit_code: int
) -> None:
    run_id = runs.create(**command(run, **fields))["run_id"]
    status = ended(runs, run_id)
    assert status["status"] == "failed"
    assert status["error"]["code"] == code
    (done,) = events(runs, run_id, "step_completed")
    assert (done["payload"]["state"], done["payload"]["exit_code"]) == ("failed", exit_code)


@pytest.mark.parametrize(
    ("run", "asked"),
    [
        ("sleep 6543", {}),
        ("trap '' TERM; while :; do sleep 6543; done", {"grace_seconds": 1}),
    ],
)
def test_a_cancelled_command_leaves_no_process(
    server: LocalServer, runs: Runs, run: str, asked: dict[str, Any]
) -> None:
    run_id = runs.create(**command(run))["run_id"]
    eventually(lambda: sleepers("6543"), "the command to sleep")
    answer = runs.post(run_id, "cancel", asked)
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelling")
    assert ended(runs, run_id)["status"] == "cancelled"
    assert not sleepers("6543")
    (done,) = events(runs, run_id, "step_completed")
    assert done["payload"]["state"] == "cancelled"
    again = runs.post(run_id, "cancel")
    assert (again.status_code, again.json()["already_terminal"]) == (200, True)


def test_a_command_that_needs_approval_waits_for_somebody_else(guarded: LocalServer) -> None:
    creator, other = Runs(guarded.url, "a" * 32), Runs(guarded.url, "b" * 32)
    asked = {**command("echo approved"), "mode": "edit_gated"}
    run_id = creator.create(**asked)["run_id"]
    waiting = eventually(lambda: creator.get(run_id, "/approvals").json()["approvals"], "the question")
    assert (waiting[0]["gate"], waiting[0]["status"]) == ("command", "pending")
    decision = {"approval_id": waiting[0]["approval_id"], "decision": "approve"}
    assert creator.post(run_id, "approvals", decision).status_code == 403
    assert other.post(run_id, "approvals", decision).status_code == 200
    assert ended(creator, run_id)["status"] == "completed"
    assert len(events(creator, run_id, "step_started")) == 1

    refused_id = creator.create(**asked)["run_id"]
    eventually(lambda: creator.get(refused_id, "/approvals").json()["approvals"], "the question")
    denial = {"decision": "deny", "reason": "not today"}
    assert other.post(refused_id, "approvals", denial).status_code == 200
    status = ended(creator, refused_id)
    assert (status["status"], status["exit_reason"]) == ("failed", "approval_denied")
    assert not events(creator, refused_id, "step_started")


def test_a_policy_without_questions_refuses_what_it_would_have_to_ask(runs: Runs) -> None:
    run_id = runs.create(**command("true"), mode="edit_gated", approval={"mode": "none"})["run_id"]
    status = ended(runs, run_id)
    assert (status["exit_reason"], status["error"]["code"]) == ("policy_denied", "POLICY_DENIED")
    assert events(runs, run_id, "policy_denied")[0]["payload"]["gate"] == "command"


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({}, "command"),
        ({"run": "a", "argv": ["a"]}, "command"),
        ({"run": "a", "cwd": "../x"}, "command.cwd"),
        ({"run": "a", "cwd": "/x"}, "command.cwd"),
        ({"run": "a", "env": {"A=B": "c"}}, "command.env"),
        ({"run": "a", "timeout_seconds": 0}, "command.timeout_seconds"),
        ({"run": "a", "artifacts": ["../*"]}, "command.artifacts"),
        ({"argv": []}, "command.argv"),
    ],
)
def test_what_cannot_be_run_is_refused(runs: Runs, given: dict[str, Any], path: str) -> None:
    answer = runs.http.post("/api/v1/runs", json={"kind": "command", "command": given})
    assert answer.status_code == 400
    assert path in [each["path"] for each in answer.json()["error"]["details"]["fields"]]


def test_a_killed_server_leaves_no_command_and_the_run_ends(tmp_path: Path) -> None:
    """Nothing runs twice (acceptance 35)."""
    server = LocalServer(tmp_path)
    try:
        server.start()
        runs = Runs(server.url)
        run_id = runs.create(**command("echo started; sleep 7654; echo never"))["run_id"]
        eventually(lambda: events(runs, run_id, "terminal_output"), "the first chunk")
        assert sleepers("7654")
        server.kill()
        eventually(lambda: not sleepers("7654"), "the command to end")
        server.start()
        status = ended(runs, run_id)
        assert (status["status"], status["error"]["code"]) == ("failed", "WORKER_LOST")
        seen = watched(f"{server.url}/api/v1/runs/{run_id}/terminal")
        assert joined(seen) == b"started\n"
        assert [frame["state"] for frame in seen if frame["type"] == "step"] == ["running", "cancelled"]
        assert (seen[-1]["type"], seen[-1]["status"]) == ("exit", "failed")
    finally:
        server.stop()
