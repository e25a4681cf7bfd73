"""One exchange with a checked address: names, bounds of size and time, closing (jobs-api.md 5.1)."""

from __future__ import annotations

import threading

import pytest
from tests.integration.loopback_server import always, loopback_server, response

from rune.sandbox.kube.certificates import make_identity
from rune_common.adapters.checked_http import CheckedHttp
from rune_common.domain.addresses import CheckedUrl
from rune_common.domain.errors import Unavailable

BOUND = 100_000


def exchange(port, *, scheme="http", seconds=10.0):
    url = f"{scheme}://models.test:{port}"
    checked = CheckedUrl(url, scheme, "models.test", port, ("127.0.0.1",))
    return CheckedHttp(checked, seconds=seconds, max_bytes=BOUND)


def test_an_encrypted_connection_asks_for_the_name_and_wants_a_certificate_that_it_trusts():
    asked: list[str | None] = []
    context = make_identity().context
    context.sni_callback = lambda connection, name, _: asked.append(name)
    with (
        loopback_server(always(response(b"{}")), context) as server,
        exchange(server.port, scheme="https") as http,
        pytest.raises(Unavailable),
    ):
        http.call("GET", "/api/tags")
    assert asked == ["models.test"]
    assert server.heads == []


def test_a_body_is_sent_and_json_comes_back():
    got = threading.Event()

    def answer(connection, head):
        body = head.partition(b"\r\n\r\n")[2]
        while len(body) < len(b'{"model":"x"}'):
            body += connection.recv(100)
        if body == b'{"model":"x"}':
            got.set()
        connection.sendall(response(b'{"a": [1]}', status="201 Created"))

    with loopback_server(answer) as server, exchange(server.port) as http:
        assert http.call("POST", "/api/show", {"model": "x"}) == (201, {"a": [1]})
    assert got.is_set()


@pytest.mark.parametrize(("extra", "fits"), [(0, True), (1, False)])
def test_a_body_is_taken_up_to_its_bound(extra, fits):
    body = b"[" + b" " * (BOUND - 2 + extra) + b"]"
    with loopback_server(always(response(body))) as server, exchange(server.port) as http:
        if fits:
            assert http.call("GET", "/") == (200, [])
            return
        with pytest.raises(Unavailable):
            http.call("GET", "/")


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"]
)
def test_a_server_that_drips_is_given_up(head):
    over = threading.Event()

    def drip(connection, _):
        connection.sendall(head)
        while not over.wait(0.02):
            connection.sendall(b"x")

    with (
        loopback_server(drip) as server,
        exchange(server.port, seconds=0.3) as http,
        pytest.raises(Unavailable),
    ):
        http.call("GET", "/")
    over.set()


def test_closing_ends_a_call_that_waits_and_lets_the_server_know():
    waiting, gone = threading.Event(), threading.Event()

    def hang(connection, _):
        waiting.set()
        while connection.recv(1):
            pass
        gone.set()

    with loopback_server(hang) as server:
        http = exchange(server.port, seconds=600)
        ended: list[Exception] = []

        def call():
            try:
                http.call("GET", "/")
            except Exception as exc:
                ended.append(exc)

        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        assert waiting.wait(10)
        http.close()
        thread.join(10)
        assert not thread.is_alive()
        assert gone.wait(10)
    assert len(ended) == 1
