"""What model servers list, and that nothing but the checked address is connected to (jobs-api.md 5.1, 13)."""

from __future__ import annotations

import json
import socket

import pytest
from tests.integration.loopback_server import always, loopback_server, response

from rune.sandbox.ollama import OllamaSim
from rune_common.adapters.model_servers import HttpModelServers
from rune_common.domain.addresses import AddressPolicy
from rune_common.domain.errors import BackendNotAllowed, Unavailable
from rune_common.domain.model_servers import ListedModels

LOOPBACK = AddressPolicy(("127.0.0.0/8", "models.test"))
TAGS = response(json.dumps({"models": [{"name": "b:1b"}, {"name": "a:1b"}, {"name": "b:1b"}]}).encode())


@pytest.fixture
def servers():
    return HttpModelServers(LOOPBACK)


def named(*addresses, seen=None):
    """Servers whose names have these addresses; `seen` collects what was looked up."""

    def resolve(host, port):
        if seen is not None:
            seen.append(host)
        return list(addresses)

    return HttpModelServers(LOOPBACK, resolve)


def test_an_ollama_server_lists_what_it_has_and_what_is_loaded(servers):
    with OllamaSim(models=["llama3.1:8b", "qwen2.5:7b"]) as sim:
        server = servers.open("ollama", sim.url)
        assert server.list_models() == ListedModels(("llama3.1:8b", "qwen2.5:7b"), ())
        assert server.warm_up("qwen2.5:7b", context_window=16_384, timeout_seconds=30, stop=lambda: False)
        assert server.list_models() == ListedModels(("llama3.1:8b", "qwen2.5:7b"), ("qwen2.5:7b",))


def test_an_openai_compatible_server_lists_what_it_has(servers):
    with OllamaSim(models=["llama3.1:8b", "qwen2.5:7b"]) as sim:
        listed = servers.open("openai", sim.url).list_models()
    assert listed == ListedModels(("llama3.1:8b", "qwen2.5:7b"), ())


def test_names_are_sorted_each_once_and_only_those_that_can_be_shown(servers):
    names = ["b", "a", "b", "", "x\u202ey", "\ud800", "line\nbreak", 7, None, {"name": "c"}]
    body = json.dumps({"data": [{"id": name} for name in names] + ["c", None]}).encode()
    with loopback_server(always(response(body))) as server:
        assert servers.open("openai", server.url).list_models().installed == ("a", "b")


def test_a_server_that_cannot_tell_what_is_loaded_shows_nothing_as_loaded(servers):
    def answer(connection, head):
        connection.sendall(TAGS if b"/api/tags" in head else response(b"no", status="404 Not Found"))

    with loopback_server(answer) as server:
        listed = servers.open("ollama", f"{server.url}/base/").list_models()
    assert listed == ListedModels(("a:1b", "b:1b"), ())
    assert [head.split()[1] for head in server.heads] == [b"/base/api/tags", b"/base/api/ps"]


@pytest.mark.parametrize(
    "content",
    [
        response(b"{}"),
        response(b"[]"),
        response(b'{"models": {}}'),
        response(b"not json"),
        response(b"[" * 100_000),
        response(b'{"models": [{"name": "a"}]}', status="500 Internal Server Error"),
        response(b'{"models": [{"name": "a"}]}', status="302 Found"),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
    ],
    ids=range(10),
)
def test_a_bad_answer_is_no_answer(servers, content):
    with loopback_server(always(content)) as server, pytest.raises(Unavailable):
        servers.open("ollama", server.url).list_models()


def test_a_redirect_inside_is_not_followed(servers):
    with loopback_server(always(TAGS)) as inside:
        found = response(b"", status="302 Found", headers=f"Location: {inside.url}/api/tags\r\n")
        with loopback_server(always(found)) as outside, pytest.raises(Unavailable):
            servers.open("ollama", outside.url).list_models()
    assert outside.connections > 0
    assert inside.connections == 0


def test_a_listing_is_tried_again_when_the_connection_breaks(servers):
    def answer(connection, head):
        if len(server.heads) > 1:
            connection.sendall(TAGS)

    with loopback_server(answer) as server:
        assert servers.open("ollama", server.url).list_models().installed == ("a:1b", "b:1b")


def test_a_closed_port_does_not_answer(servers):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unavailable):
        servers.open("ollama", f"http://127.0.0.1:{port}").list_models()


def test_the_name_is_looked_up_once_and_its_address_is_what_is_connected_to():
    seen: list[str] = []
    with loopback_server(always(TAGS)) as server:
        opened = named("127.0.0.1", seen=seen).open("ollama", f"http://models.test:{server.port}")
        opened.list_models()
        assert opened.ready()
    assert seen == ["models.test"]
    assert all(f"host: models.test:{server.port}\r\n".encode() in head.lower() for head in server.heads)


def test_the_next_address_is_tried_when_one_refuses():
    with loopback_server(always(TAGS)) as server:
        opened = named("127.0.0.9", "127.0.0.1").open("ollama", f"http://models.test:{server.port}")
        assert opened.list_models().installed == ("a:1b", "b:1b")


def test_a_name_with_one_inner_address_is_not_opened():
    inner = HttpModelServers(AddressPolicy(), lambda host, port: ["192.0.2.1", "10.0.0.1"])
    with pytest.raises(BackendNotAllowed):
        inner.open("ollama", "http://models.test/")


def test_a_name_without_an_address_does_not_answer():
    with pytest.raises(Unavailable):
        named().open("ollama", "http://models.test/")
