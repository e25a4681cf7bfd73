"""Model servers over HTTP, also when they are slow, broken or elsewhere (jobs-api.md 5.1, 5.3)."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from rune.sandbox.exchange import SimRequest, SimResponse
from rune.sandbox.ollama.server import OllamaSim
from rune.sandbox.simulator import Simulator
from rune_common.adapters.model_servers import (
    MAX_BODY_BYTES,
    HttpModelServers,
    OllamaServer,
    OpenAiServer,
    tagged,
)
from rune_common.domain.addresses import AddressPolicy
from rune_common.domain.errors import BackendNotAllowed, Unavailable
from rune_common.domain.model_catalog import bare_name
from rune_common.domain.model_servers import ModelServer

LOOPBACK = ("localhost", "127.0.0.0/8", "[::1]")
MODEL = "llama3.1:8b"


@pytest.fixture
def ollama() -> Iterator[OllamaSim]:
    with OllamaSim() as simulator:
        yield simulator


def opened(url: str, backend_type: str = "ollama", allowed: tuple[str, ...] = LOOPBACK) -> ModelServer:
    return HttpModelServers(AddressPolicy(allowed)).open(backend_type, url)


def warm(server: ModelServer, *, seconds: int = 10, stop: Callable[[], bool] = lambda: False) -> bool:
    return server.warm_up(MODEL, context_window=16_384, timeout_seconds=seconds, stop=stop)


def test_a_server_tells_what_it_has_and_can(ollama: OllamaSim) -> None:
    server = opened(ollama.url)
    assert isinstance(server, OllamaServer)
    assert server.ready()
    assert server.installed(MODEL)
    assert server.installed(f"ollama_chat/{MODEL}")
    assert not server.installed("nobody:1b")
    abilities = server.abilities(MODEL)
    assert "tools" in (abilities.capabilities or ())
    assert abilities.context_length
    assert "tools" not in (server.abilities("notools:1b").capabilities or ())


def test_a_model_is_loaded_once_with_the_window_used_later(ollama: OllamaSim) -> None:
    server = opened(ollama.url)
    assert warm(server)
    assert warm(server)
    assert ollama.state()["loaded"] == {MODEL: 16_384}
    loads = [each for each in ollama.requests if each.path == "/api/generate"]
    assert len(loads) == 1


def test_a_model_that_is_not_there_is_not_loaded(ollama: OllamaSim) -> None:
    server = opened(ollama.url)
    assert not server.warm_up("nobody:1b", context_window=16_384, timeout_seconds=1, stop=lambda: False)


def test_a_slow_load_is_stopped_by_a_cancel(ollama: OllamaSim) -> None:
    ollama.fault(kind="hang", match={"path": "/api/generate"})
    stopped = threading.Event()
    threading.Timer(0.1, stopped.set).start()
    assert not warm(opened(ollama.url), seconds=60, stop=stopped.is_set)


def test_a_load_that_takes_too_long_is_given_up(ollama: OllamaSim) -> None:
    ollama.fault(kind="hang", match={"path": "/api/generate"})
    assert not warm(opened(ollama.url), seconds=1)


def test_a_load_that_fails_shows_in_what_is_loaded(ollama: OllamaSim) -> None:
    ollama.fault(kind="status", status=500, match={"path": "/api/generate"})
    assert not warm(opened(ollama.url), seconds=1)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 404},
        {"kind": "truncate"},
        {"kind": "garbage"},
        {"kind": "reset"},
        {"kind": "reset", "after_bytes": 20},
    ],
    ids=str,
)
def test_a_server_that_answers_wrongly_is_unavailable_and_works_again_afterwards(
    ollama: OllamaSim, fault: dict[str, object]
) -> None:
    server = opened(ollama.url)
    ollama.fault(match={"path": "/api/tags"}, times=1, **fault)
    if fault["kind"] == "garbage":
        assert not server.installed(MODEL)
    else:
        with pytest.raises(Unavailable):
            server.installed(MODEL)
    ollama.fault(match={"path": "/api/show"}, times=1, **fault)
    with pytest.raises(Unavailable):
        server.abilities(MODEL)
    assert server.installed(MODEL)
    assert server.abilities(MODEL).capabilities


def test_a_server_is_ready_when_either_of_its_pages_answers(ollama: OllamaSim) -> None:
    server = opened(ollama.url)
    ollama.fault(kind="status", status=404, match={"path": "/api/version"})
    assert server.ready()
    ollama.fault(kind="status", status=503, match={"path": "/api/tags"})
    assert not server.ready()


def test_latency_is_waited_for(ollama: OllamaSim) -> None:
    ollama.fault(kind="latency", seconds=0.5, match={"path": "/api/tags"}, times=1)
    assert opened(ollama.url).installed(MODEL)


def test_nobody_there_is_not_ready_and_unavailable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    server = opened(url)
    assert not server.ready()
    with pytest.raises(Unavailable):
        server.installed(MODEL)
    assert not opened(url, "openai").ready()


class Elsewhere(Simulator):
    """Sends everybody to another server, and counts who comes."""

    name = "elsewhere"

    def __init__(self, target: str) -> None:
        super().__init__()
        self._target = target

    def handle(self, request: SimRequest) -> SimResponse:
        return SimResponse(302, b"", {"Location": f"{self._target}{request.path}"})


def test_a_redirect_is_not_followed(ollama: OllamaSim) -> None:
    with Elsewhere(ollama.url) as elsewhere:
        server = opened(elsewhere.url)
        assert not server.ready()
        with pytest.raises(Unavailable):
            server.installed(MODEL)
    assert ollama.requests == []


class Flood(Simulator):
    """Answers without end."""

    name = "flood"
    sent = 0

    def handle(self, request: SimRequest) -> SimResponse:
        def parts() -> Iterator[bytes]:
            while not request.client_gone():
                self.sent += 65_536
                yield b" " * 65_536

        return SimResponse(200, parts(), {"Content-Type": "application/json"})


def test_an_endless_answer_is_cut_off() -> None:
    with Flood() as flood:
        with pytest.raises(Unavailable):
            opened(flood.url).installed(MODEL)
        sent = flood.sent
        time.sleep(0.2)
        assert flood.sent - sent < MAX_BODY_BYTES


class Dripping(Simulator):
    """Answers a byte now and then, never long enough apart for a read to time out."""

    name = "dripping"

    def handle(self, request: SimRequest) -> SimResponse:
        def parts() -> Iterator[bytes]:
            while not request.client_gone():
                time.sleep(0.5)
                yield b" "

        return SimResponse(200, parts(), {"Content-Type": "application/json"})


def test_an_answer_that_drips_ends_after_the_whole_time() -> None:
    with Dripping() as dripping:
        ended = threading.Event()

        def ask() -> None:
            with pytest.raises(Unavailable):
                opened(dripping.url).installed(MODEL)
            ended.set()

        threading.Thread(target=ask, daemon=True).start()
        assert ended.wait(20), "a call has 10 s in all (jobs-api.md 5.1)"


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254",
        "http://10.0.0.1:11434",
        "http://[::ffff:10.0.0.1]",
        "http://[fd00::1]",
        "ftp://127.0.0.1",
        "http://user:password@127.0.0.1",
    ],
)
def test_an_address_that_the_policy_forbids_is_never_connected_to(url: str) -> None:
    with pytest.raises(BackendNotAllowed):
        opened(url)


def test_loopback_is_forbidden_unless_it_is_listed(ollama: OllamaSim) -> None:
    for url in (ollama.url, ollama.url.replace("127.0.0.1", "localhost")):
        with pytest.raises(BackendNotAllowed):
            opened(url, allowed=())
    assert opened(ollama.url, allowed=(f"127.0.0.1:{ollama.port}",)).ready()
    assert ollama.requests


def test_the_environments_proxy_is_not_used(ollama: OllamaSim, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert opened(ollama.url).ready()


def test_an_openai_server_only_has_to_answer(ollama: OllamaSim) -> None:
    server = opened(ollama.url, "openai")
    assert isinstance(server, OpenAiServer)
    assert server.ready()
    ollama.fault(kind="status", status=401, match={"path": "/v1/models"}, times=1)
    assert server.ready()
    ollama.fault(kind="status", status=500, match={"path": "/v1/models"}, times=1)
    assert not server.ready()


@pytest.mark.parametrize(
    ("name", "bare"),
    [("ollama_chat/a:b", "a:b"), ("ollama/a:b", "a:b"), ("a:b", "a:b"), ("ollama/ollama/a", "ollama/a")],
)
def test_one_known_prefix_is_stripped(name: str, bare: str) -> None:
    assert bare_name(name) == bare


def test_a_name_without_a_tag_is_the_latest() -> None:
    assert tagged("mistral") == tagged("mistral:latest") == "mistral:latest"
    assert tagged("registry:5000/mistral") == "registry:5000/mistral:latest"
