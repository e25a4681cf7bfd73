"""Every fault, the control routes and the command, on the Ollama simulator (holmes-driver.md 6)."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest

from rune.sandbox.clock import Clock
from rune.sandbox.command import REFUSED, TAKEN, main
from rune.sandbox.ollama import OllamaSim

CHAT = {"model": "llama3.1:8b", "messages": [{"role": "user", "content": "[[plain]]"}], "stream": False}


@pytest.fixture
def sim() -> Iterator[OllamaSim]:
    with OllamaSim(clock=Clock(manual=True)) as running:
        yield running


@pytest.fixture
def api(sim) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sim.url, trust_env=False, timeout=20) as client:
        yield client


def advance_once_asked(sim: OllamaSim, seconds: float) -> threading.Thread:
    """Move the clock as soon as a request has arrived."""

    def work() -> None:
        while not sim.requests:
            sim.clock.sleep(0.001, stop=lambda: bool(sim.requests))
        sim.clock.advance(seconds)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_latency_delays_the_normal_answer(sim, api):
    sim.fault(kind="latency", seconds=600)
    advancing = advance_once_asked(sim, 600)
    assert api.post("/api/chat", json=CHAT).json()["message"]["content"]
    advancing.join()
    assert [r.fault for r in sim.requests] == ["latency"]


def test_hang_accepts_and_never_answers(sim):
    sim.fault(kind="hang")
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{sim.url}/api/tags", timeout=0.3, trust_env=False)
    assert [r.status for r in sim.requests] == [None]


def test_a_hang_with_an_end_closes_without_an_answer(sim, api):
    sim.fault(kind="hang", seconds=60)
    advancing = advance_once_asked(sim, 60)
    with pytest.raises(httpx.RemoteProtocolError):
        api.get("/api/tags")
    advancing.join()


def test_stopping_does_not_wait_for_hanging_requests():
    with OllamaSim() as sim:
        sim.fault(kind="hang")
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{sim.url}/api/tags", timeout=0.2, trust_env=False)
        url = sim.url
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)


def test_status_answers_with_the_given_body_and_headers(sim, api):
    sim.fault(kind="status", status=429, headers={"Retry-After": "7"}, match={"path": "/api/chat"}, times=1)
    sim.fault(kind="status", status=503, body="busy", match={"path": "/api/chat"}, times=1)
    first, second, third = (api.post("/api/chat", json=CHAT) for _ in range(3))
    assert (first.status_code, first.headers["Retry-After"]) == (429, "7")
    assert (second.status_code, second.text, "Retry-After" in second.headers) == (503, "busy", False)
    assert third.status_code == 200


@pytest.mark.parametrize("kept", [None, 10])
def test_truncate_promises_the_whole_body_and_closes_inside_it(sim, kept):
    sim.fault(kind="truncate", **({} if kept is None else {"bytes": kept}))
    received: list[bytes] = []
    with httpx.stream("GET", f"{sim.url}/api/tags", trust_env=False) as response:
        promised = int(response.headers["Content-Length"])
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
            received.extend(response.iter_raw())
    assert len(b"".join(received)) == (promised // 2 if kept is None else kept)
    with pytest.raises(json.JSONDecodeError):
        json.loads(b"".join(received))


def test_a_truncated_stream_has_no_end(sim, api):
    sim.fault(kind="truncate", bytes=30)
    with pytest.raises(httpx.RemoteProtocolError):
        api.post("/api/chat", json={**CHAT, "stream": True})


def test_garbage_is_a_success_that_is_no_json(sim, api):
    sim.fault(kind="garbage")
    response = api.get("/api/tags")
    assert response.status_code == 200
    with pytest.raises(ValueError, match=r"Expecting value|codec"):
        response.json()


@pytest.mark.parametrize("options", [{}, {"after_bytes": 0}, {"after_bytes": 10}])
@pytest.mark.parametrize("stream", [False, True])
def test_reset_is_a_real_tcp_reset(sim, api, options, stream):
    sim.fault(kind="reset", **options)
    with pytest.raises(httpx.ReadError, match="reset by peer"):
        api.post("/api/chat", json={**CHAT, "stream": stream})


def test_a_client_that_hangs_up_is_noticed(sim):
    slow = {**CHAT, "messages": [{"role": "user", "content": "[[slow]]"}]}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{sim.url}/api/chat", json=slow, timeout=0.2, trust_env=False)
    deadline = threading.Event()
    for _ in range(200):
        if sim.requests[0].abandoned:
            break
        deadline.wait(0.05)
    assert sim.requests[0].abandoned


def test_faults_clock_and_log_are_reached_over_http(sim, api):
    fault = {"match": {"method": "GET", "path": "/api/*"}, "kind": "status", "status": 500, "times": 1}
    assert api.post("/_sandbox/faults", json=fault).status_code == 200
    assert [
        api.get("/api/tags", headers={"Authorization": "Bearer s3cret"}).status_code for _ in range(2)
    ] == [500, 200]
    logged = api.get("/_sandbox/requests").json()["requests"]
    assert [(r["path"], r["status"], r["fault"]) for r in logged] == [
        ("/api/tags", 500, "status"),
        ("/api/tags", 200, None),
    ]
    assert "s3cret" not in json.dumps(logged)
    before = sim.clock.time()
    assert api.post("/_sandbox/clock", json={"advance_seconds": 90}).json() == {"time": before + 90}
    api.post("/_sandbox/faults", json={"kind": "garbage"})
    assert api.delete("/_sandbox/faults").status_code == 200
    assert api.get("/api/tags").json()["models"]


def test_reset_forgets_faults_requests_and_state(sim, api):
    api.post("/api/chat", json=CHAT)
    sim.fault(kind="garbage")
    assert api.post("/_sandbox/reset").status_code == 200
    assert (sim.requests, sim.load_counts) == ([], {})
    assert api.get("/api/ps").json() == {"models": []}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/_sandbox/faults", {"kind": "no_such"}, 400),
        ("POST", "/_sandbox/faults", [], 400),
        ("POST", "/_sandbox/clock", {}, 400),
        ("POST", "/_sandbox/clock", {"advance_seconds": -1}, 400),
        ("GET", "/_sandbox/nothing", None, 404),
    ],
)
def test_a_wrong_control_request_is_told(api, method, path, body, status):
    response = api.request(method, path, json=body)
    assert response.status_code == status
    assert response.json()["error"]


def test_requests_on_one_connection_are_served_in_turn(sim, api):
    assert [api.get("/api/version").status_code for _ in range(20)] == [200] * 20
    assert len(sim.requests) == 20


def test_a_chunked_request_body_is_read(api):
    content = iter([json.dumps(CHAT)[:10].encode(), json.dumps(CHAT)[10:].encode()])
    assert api.post("/api/chat", content=content).json()["message"]["content"]


def test_the_command_prints_addresses_and_exports_and_cleans_up():
    out = io.StringIO()
    seen: dict[str, object] = {}

    def look() -> None:
        first, *exports = out.getvalue().splitlines()
        seen.update(json.loads(first))
        assert exports == [
            f"export OLLAMA_API_BASE={seen['ollama']}",
            f"export KUBECONFIG={seen['kubeconfig']}",
            f"export RUNE_VASTAI_BASE_URL={seen['vast']}",
            "export VAST_API_KEY=sandbox-key",
        ]
        assert httpx.get(f"{seen['ollama']}/api/version", trust_env=False).status_code == 200
        with open(str(seen["kubeconfig"])) as file:
            assert str(seen["kubernetes"]) in file.read()

    assert main(["up", "--scenario", "crash_loop"], {}, out=out, wait=look) == 0
    assert set(seen) == {"ollama", "kubernetes", "kubeconfig", "vast"}
    with pytest.raises(FileNotFoundError):
        open(str(seen["kubeconfig"])).close()


@pytest.mark.parametrize("argv", [["up", "--scenario", "no_such"], ["up", "--cluster", "/nonexistent.yaml"]])
def test_the_command_tells_what_it_cannot_read(argv, capsys):
    assert main(argv, {}, out=io.StringIO(), wait=lambda: None) == 2
    assert capsys.readouterr().err.startswith("rune.sandbox: ")


def test_the_command_refuses_to_run_inside_lambda(capsys):
    out = io.StringIO()
    assert main(["ollama"], {"AWS_LAMBDA_FUNCTION_NAME": "f"}, out=out, wait=lambda: None) == REFUSED
    assert out.getvalue() == ""
    assert "Lambda" in capsys.readouterr().err


def test_the_command_tells_that_a_port_is_taken(sim, capsys):
    assert main(["ollama", "--port", str(sim.port)], {}, out=io.StringIO(), wait=lambda: None) == TAKEN
    assert "in use" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_cleanly(number):
    command = [sys.executable, "-m", "rune.sandbox", "ollama"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["ollama"]
        assert httpx.get(url, trust_env=False).text == "Ollama is running"
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
