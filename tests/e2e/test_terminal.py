"""Commands and their terminal on the local stack (runs-api.md 2.3, 5; acceptance 1, 6, 17, 18, 19)."""

from __future__ import annotations

import hashlib
import json
import random
import shlex
import sys
from collections.abc import Callable
from typing import Any

import httpx
import psutil
import pytest
from tests.e2e.local_server import LocalServer, eventually
from tests.e2e.runs_client import Runs
from tests.e2e.terminal_client import closed_with, frames, joined, terminal
from websockets.exceptions import InvalidStatus

PREFIXES = ("/api/v1/runs", "/api/v1/runtime/runs")


@pytest.fixture
def runs(server: LocalServer) -> Runs:
    return Runs(server.url)


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


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_command_runs_and_its_terminal_shows_all_of_it(server: LocalServer, prefix: str) -> None:
    runs = Runs(server.url, prefix=prefix)
    answer = runs.http.post(prefix, json=command("echo out; echo err >&2"))
    assert answer.status_code == 201
    created = answer.json()
    assert created["status"] == "queued"
    assert answer.headers["Location"] == f"/api/v1/runs/{created['run_id']}"
    run_id = created["run_id"]
    with terminal(f"{server.url}{prefix}/{run_id}/terminal") as socket:
        assert socket.subprotocol == "runtime.terminal.v1"
        seen = list(frames(socket))
        assert closed_with(socket) == 1000
    assert seen[0]["type"] == "hello"
    assert [frame["seq"] for frame in seen if frame["type"] == "chunk"] == [1, 2]
    assert joined(seen) == b"out\n"
    assert joined(seen, "stderr") == b"err\n"
    steps = [(frame["step_id"], frame["state"], frame["exit_code"]) for frame in seen if frame["type"] == "step"]
    assert steps == [("main", "running", None), ("main", "succeeded", 0)]
    assert seen[-1] == {
        "type": "exit",
        "status": "completed",
        "exit_code": 0,
        "head_seq": 2,
        "close_code": 1000,
    }
    status = runs.get(run_id).json()
    assert status["status"] == "completed"
    assert status["change_set"] is None
    job = runs.http.get(f"/v1/jobs/{run_id}").json()
    assert job["status"] == "succeeded"


def test_what_a_command_prints_is_in_its_files_and_digests(server: LocalServer, runs: Runs) -> None:
    run_id = runs.create(**command("printf abc; printf de >&2; mkdir d; printf x > d/r.txt", artifacts=["**/*.txt"]))[
        "run_id"
    ]
    ended(runs, run_id)
    (done,) = events(runs, run_id, "step_completed")
    payload = done["payload"]
    assert payload["stdout_sha256"] == hashlib.sha256(b"abc").hexdigest()
    assert (payload["stdout_bytes"], payload["stderr_bytes"]) == (3, 2)
    listed = runs.get(run_id, "/artifacts").json()["artifacts"]
    contents = {each["name"]: runs.get(run_id, f"/artifacts/{each['artifact_id']}").content for each in listed}
    assert contents["main.stdout.log"] == b"abc"
    assert contents["main.stderr.log"] == b"de"
    assert contents["d_r.txt"] == b"x"


def test_a_command_sees_nothing_of_the_server(server: LocalServer, runs: Runs) -> None:
    run_id = runs.create(**command("env; cat; pwd", env={"MINE": "given"}))["run_id"]
    ended(runs, run_id)
    shown = joined(watched(f"{server.url}/api/v1/runs/{run_id}/terminal")).decode()
    names = {line.partition("=")[0] for line in shown.splitlines() if "=" in line}
    assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == {"PATH", "HOME", "LANG", "TERM", "CI", "RUNE_RUN_ID", "MINE"}
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


def sleepers(seconds: str) -> list[psutil.Process]:
    return [each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == ["sleep", seconds]]


def test_reading_on_after_any_chunk_gives_each_chunk_once(server: LocalServer, runs: Runs) -> None:
    code = "import sys\nfor i in range(30000):\n print(i, 'x' * (i % 60))"
    run_id = runs.create(**command(python(code)))["run_id"]
    url = f"{server.url}/api/v1/runs/{run_id}/terminal"
    chance = random.Random(7)
    seen: list[dict[str, Any]] = []
    cursor, over = 0, False
    while not over:
        left = chance.randint(1, 60)
        with terminal(f"{url}?cursor={cursor}") as socket:
            for frame in frames(socket):
                if frame["type"] == "chunk":
                    seen.append(frame)
                    cursor = frame["seq"]
                    left -= 1
                over = frame["type"] == "exit"
                if not left:
                    break
    assert [frame["seq"] for frame in seen] == list(range(1, len(seen) + 1))
    (done,) = events(runs, run_id, "step_completed")
    assert hashlib.sha256(joined(seen)).hexdigest() == done["payload"]["stdout_sha256"]


def test_any_bytes_come_through_and_every_frame_is_small(server: LocalServer, runs: Runs) -> None:
    make = (
        "import random,sys\nr=random.Random(5)\n"
        "b=bytes(range(32))*8192+r.randbytes(262144)+('\U0001f980\u00e9'*43690).encode()+b'\\xf0\\x9f'*131072+b'\\x01'*262144\n"
    )
    scope: dict[str, Any] = {}
    exec(make, scope)
    run_id = runs.create(**command(python(make + "sys.stdout.buffer.write(b)")))["run_id"]
    assert ended(runs, run_id)["status"] == "completed"
    seen = watched(f"{server.url}/api/v1/runs/{run_id}/terminal")
    assert joined(seen) == scope["b"]
    assert {frame["encoding"] for frame in seen if frame["type"] == "chunk"} == {"utf8", "base64"}


def test_secrets_in_the_output_are_nowhere(server: LocalServer, runs: Runs) -> None:
    token = "ghp_" + "a1B2" * 9
    code = (
        "import os,time\n"
        f"t=bytes.fromhex('{token.encode().hex()}')\n"
        "for i in range(1,len(t)):\n os.write(1,b'| '+t[:i]); os.write(1,t[i:]+b'\\n')\n"
        "os.write(1,b'-----BEGIN RSA PRIVATE KEY-----\\nMIIabc\\n'); time.sleep(.3); os.write(1,b'XYZ\\n-----END RSA PRIVATE KEY-----\\nend\\n')\n"
        "print(os.environ['MY_PASSWORD'])\n"
    )
    run_id = runs.create(**command(python(code), env={"MY_PASSWORD": "opensesame99"}))["run_id"]
    assert ended(runs, run_id)["status"] == "completed"
    seen = watched(f"{server.url}/api/v1/runs/{run_id}/terminal")
    log = b"\n".join(runs.lines(run_id))
    artifacts = runs.get(run_id, "/artifacts").json()["artifacts"]
    files = b"".join(runs.get(run_id, f"/artifacts/{each['artifact_id']}").content for each in artifacts)
    for text in (joined(seen), log, files, json.dumps(seen).encode()):
        assert token.encode() not in text
        assert b"MIIabc" not in text
        assert b"XYZ" not in text
        assert b"opensesame99" not in text
    assert joined(seen).count(b"[REDACTED:github_token]") == len(token) - 1
    counted: dict[str, int] = {}
    for event in events(runs, run_id, "terminal_output"):
        for each in event.get("redactions", ()):
            counted[each["rule"]] = counted.get(each["rule"], 0) + each["count"]
    assert counted["github_token"] == len(token) - 1
    assert counted["pem_private_key"] == 1


def test_a_connection_without_the_subprotocol_is_refused(server: LocalServer, runs: Runs) -> None:
    run_id = runs.create()["run_id"]
    with pytest.raises(InvalidStatus) as refused, terminal(
        f"{server.url}/api/v1/runs/{run_id}/terminal", subprotocols=None
    ):
        pass
    assert refused.value.response.status_code == 400
    assert json.loads(refused.value.response.body)["error"]["code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_request_without_upgrade_is_told_to_upgrade(server: LocalServer, prefix: str, slash: str) -> None:
    answer = httpx.get(f"{server.url}{prefix}/run-1/terminal{slash}", trust_env=False)
    assert answer.status_code == 426
    assert answer.json()["error"]["code"] == "UPGRADE_REQUIRED"


def test_a_page_of_another_site_cannot_connect(server: LocalServer, runs: Runs) -> None:
    run_id = runs.create()["run_id"]
    url = f"{server.url}/api/v1/runs/{run_id}/terminal"
    with pytest.raises(InvalidStatus) as refused, terminal(url, origin="http://elsewhere.example"):
        pass
    assert refused.value.response.status_code == 403
    with terminal(url, origin=server.url) as socket:
        assert next(frames(socket))["type"] == "hello"


def test_a_terminal_is_for_reading(server: LocalServer, runs: Runs) -> None:
    run_id = runs.create()["run_id"]
    with terminal(f"{server.url}/api/v1/runs/{run_id}/terminal") as socket:
        seen = frames(socket)
        assert next(seen)["type"] == "hello"
        socket.send('{"type":"dance"}')
        assert next(seen)["code"] == "MESSAGE_INVALID"
        for message in ('{"type":"input","data":"x"}', '{"type":"resize"}', b"bytes", '{"type":"input"}'):
            socket.send(message)
            frame = next(seen)
            assert (frame["code"], "close_code" in frame) == ("INPUT_NOT_ALLOWED", False)
        socket.send('{"type":"input"}')
        assert next(seen)["close_code"] == 1008
        assert not list(seen)
        assert closed_with(socket) == 1008


@pytest.mark.parametrize(
    ("place", "code", "close_code"),
    [("?cursor=1", "CURSOR_INVALID", 4400), ("?cursor=x", "CURSOR_INVALID", 4400)],
)
def test_a_bad_cursor_is_told(server: LocalServer, runs: Runs, place: str, code: str, close_code: int) -> None:
    run_id = runs.create()["run_id"]
    with terminal(f"{server.url}/api/v1/runs/{run_id}/terminal{place}") as socket:
        (frame,) = frames(socket)
        assert (frame["code"], frame["close_code"], closed_with(socket)) == (code, close_code, close_code)


def test_an_unknown_run_is_told(server: LocalServer) -> None:
    with terminal(f"{server.url}/api/v1/runs/nothing/terminal") as socket:
        (frame,) = frames(socket)
        assert (frame["code"], closed_with(socket)) == ("RUN_NOT_FOUND", 4404)


def test_a_client_that_acknowledges_is_never_more_than_64_chunks_behind(server: LocalServer, runs: Runs) -> None:
    run_id = runs.create(**command("head -c 2000000 /dev/zero | tr '\\0' a"))["run_id"]
    ended(runs, run_id)
    with terminal(f"{server.url}/api/v1/runs/{run_id}/terminal?ack=1") as socket:
        seen = frames(socket)
        first = [frame for frame in (next(seen) for _ in range(66)) if frame["type"] == "chunk"]
        assert [frame["seq"] for frame in first] == list(range(1, 65))
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.5)
        socket.send('{"type":"ack","seq":60}')
        more = [next(seen) for _ in range(60)]
        assert [frame["seq"] for frame in more] == list(range(65, 125))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server with the tokens of two people of one tenant, and of another tenant."""
    tokens = ",".join(f"{tenant}:{letter * 32}" for tenant, letter in (("default", "a"), ("default", "b"), ("other", "c")))
    found = LocalServer(
        tmp_path_factory.mktemp("guarded"), RUNE_API_AUTH_DISABLED="", RUNE_API_TOKENS=tokens
    )
    try:
        found.start()
        yield found
    finally:
        found.stop()


def test_a_token_in_the_first_message_or_a_ticket_opens_a_terminal(guarded: LocalServer) -> None:
    runs = Runs(guarded.url, "a" * 32)
    run_id = runs.create()["run_id"]
    url = f"{guarded.url}/api/v1/runs/{run_id}/terminal"
    with terminal(url) as socket:
        socket.send(json.dumps({"type": "auth", "token": "a" * 32}))
        assert next(frames(socket))["type"] == "hello"
    with terminal(url, additional_headers={"Authorization": f"Bearer {'b' * 32}"}) as socket:
        assert next(frames(socket))["type"] == "hello"
    ticket = runs.post(run_id, "stream-tickets", {"purpose": "terminal"}).json()["ticket"]
    with terminal(f"{url}?ticket={ticket}") as socket:
        assert next(frames(socket))["type"] == "hello"


def test_nobody_else_opens_a_terminal(guarded: LocalServer) -> None:
    runs = Runs(guarded.url, "a" * 32)
    run_id = runs.create()["run_id"]
    url = f"{guarded.url}/api/v1/runs/{run_id}/terminal"
    events_ticket = runs.post(run_id, "stream-tickets", {"purpose": "events"}).json()["ticket"]

    def refused(place: str, act: Callable[[Any], None] = lambda socket: None, **headers: str) -> tuple[str, int | None]:
        with terminal(place, additional_headers=headers) as socket:
            act(socket)
            (frame,) = frames(socket)
            assert frame["close_code"] == closed_with(socket)
            return frame["code"], closed_with(socket)

    assert refused(url, Authorization=f"Bearer {'c' * 32}") == ("RUN_NOT_FOUND", 4404)
    assert refused(url, Authorization=f"Bearer {'d' * 32}") == ("AUTH_REQUIRED", 4401)
    assert refused(f"{url}?ticket={events_ticket}") == ("AUTH_REQUIRED", 4401)
    assert refused(url, lambda socket: socket.send('{"type":"resume","cursor":0}')) == ("AUTH_REQUIRED", 4401)
    assert refused(url) == ("AUTH_REQUIRED", 4401)


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
