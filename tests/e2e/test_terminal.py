"""The terminal of runs on the local stack (runs-api.md 5; acceptance 1, 17, 18, 19)."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.command_runs import command, ended, events, python, server_of_two, watched
from tests.e2e.local_server import LocalServer, eventually
from tests.e2e.runs_client import Runs
from tests.e2e.terminal_client import closed_with, frames, joined, terminal
from websockets.exceptions import InvalidStatus

PREFIXES = ("/api/v1/runs", "/api/v1/runtime/runs")


@pytest.fixture
def runs(server: LocalServer) -> Runs:
    return Runs(server.url)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with server_of_two(tmp_path_factory.mktemp("guarded")) as found:
        yield found


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
    steps = [
        (frame["step_id"], frame["state"], frame["exit_code"]) for frame in seen if frame["type"] == "step"
    ]
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
        "os.write(1,b'-----BEGIN RSA PRIVATE KEY-----\\nMIIabc\\n'); time.sleep(.3)\n"
        "os.write(1,b'XYZ\\n-----END RSA PRIVATE KEY-----\\nend\\n')\n"
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
    with (
        pytest.raises(InvalidStatus) as refused,
        terminal(f"{server.url}/api/v1/runs/{run_id}/terminal", subprotocols=None),
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
def test_a_bad_cursor_is_told(
    server: LocalServer, runs: Runs, place: str, code: str, close_code: int
) -> None:
    run_id = runs.create()["run_id"]
    with terminal(f"{server.url}/api/v1/runs/{run_id}/terminal{place}") as socket:
        (frame,) = frames(socket)
        assert (frame["code"], frame["close_code"], closed_with(socket)) == (code, close_code, close_code)


def test_an_unknown_run_is_told(server: LocalServer) -> None:
    with terminal(f"{server.url}/api/v1/runs/nothing/terminal") as socket:
        (frame,) = frames(socket)
        assert (frame["code"], closed_with(socket)) == ("RUN_NOT_FOUND", 4404)


def test_a_client_that_acknowledges_is_never_more_than_64_chunks_behind(
    server: LocalServer, runs: Runs
) -> None:
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

    def refused(
        place: str, act: Callable[[Any], None] = lambda socket: None, **headers: str
    ) -> tuple[str, int | None]:
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


def rune(server: LocalServer, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    line = [sys.executable, "-m", "rune", "--backend", "http", "--api-base-url", server.url, *arguments]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(server.home)}
    return subprocess.run(line, capture_output=True, timeout=60, env=environment, cwd=server.folder)


def test_the_command_line_shows_both_streams_as_they_are(server: LocalServer, runs: Runs) -> None:
    run_id = runs.create(**command("printf 'a\\377b\\n'; sleep 1; echo end; echo err >&2"))["run_id"]
    done = rune(server, "runs", "terminal", run_id)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"a\xffb\nend\n", b"err\n")
    told = rune(server, "runs", "terminal", run_id, "--json")
    assert json.loads(told.stdout)["result"] == {
        "run_id": run_id,
        "status": "completed",
        "exit_code": 0,
        "head_seq": 3,
    }


def test_the_command_line_fails_with_the_run(server: LocalServer, runs: Runs) -> None:
    run_id = runs.create(**command("echo no; exit 3"))["run_id"]
    done = rune(server, "runs", "terminal", run_id)
    assert (done.returncode, done.stdout) == (1, b"no\n")
    assert b"exit code 3" in done.stderr
    missing = rune(server, "runs", "terminal", "nothing")
    assert missing.returncode == 1
    assert missing.stdout == b""


def test_one_caller_has_a_limit_of_terminals(tmp_path: Path) -> None:
    server = LocalServer(tmp_path, RUNE_STREAMS_PER_TOKEN="2")
    try:
        server.start()
        run_id = Runs(server.url).create()["run_id"]
        url = f"{server.url}/api/v1/runs/{run_id}/terminal"
        with terminal(url) as one, terminal(url) as two:
            assert [next(frames(each))["type"] for each in (one, two)] == ["hello", "hello"]
            with terminal(url) as three:
                (frame,) = frames(three)
                assert (frame["code"], closed_with(three)) == ("TOO_MANY_STREAMS", 4429)
        eventually(lambda: watched_one(url), "a place to be free again")
    finally:
        server.stop()


def watched_one(url: str) -> bool:
    with terminal(url) as socket:
        return next(frames(socket))["type"] == "hello"
