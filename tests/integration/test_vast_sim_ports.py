"""The mapped ports of rented instances really lead to the model server (holmes-driver.md 6.3)."""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.integration.vast_client import VastClient

from rune.sandbox.ollama import OllamaSim
from rune.sandbox.vast import VastSim
from rune.sandbox.vast.forwarder import PortForwarder

CHAT = {"model": "llama3.1:8b", "messages": [{"role": "user", "content": "[[plain]]"}], "stream": False}


@pytest.fixture
def ollama() -> Iterator[OllamaSim]:
    with OllamaSim() as running:
        yield running


@pytest.fixture
def sim(ollama) -> Iterator[VastSim]:
    with VastSim(ollama=ollama, boot_seconds=0) as running:
        yield running


@pytest.fixture
def api(sim) -> VastClient:
    return VastClient(sim)


def ask(port: int, body: object = CHAT) -> dict[str, object]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/chat", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=20) as response:
        answer: dict[str, object] = json.load(response)
        return answer


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it holds within some seconds, for what other threads have yet to do."""
    for _ in range(400):
        if holds():
            return True
        threading.Event().wait(0.02)
    return False


def test_a_whole_visit_runs_through_the_mapped_port(ollama, sim, api):
    made = api.rent(label="rune/x")
    port = api.host_port(made)
    assert port not in (11434, ollama.port, sim.port)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/version", timeout=20) as response:
        assert response.status == 200
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/pull", b'{"model":"llama3.1:8b"}') as pulled:
        assert json.loads(pulled.readlines()[-1]) == {"status": "success"}
    assert ask(port)["message"]
    assert [each.path for each in ollama.requests] == ["/api/version", "/api/pull", "/api/chat"]
    api("DELETE", f"instances/{made}/")
    assert refused(port)
    sim.assert_no_leaks()


def test_two_instances_have_two_ports_and_one_host_port_each_for_life(api):
    first, second = api.rent(), api.rent(7100103)
    ports = {api.host_port(first), api.host_port(second), api.host_port(first), api.host_port(second)}
    assert len(ports) == 2


def test_many_connections_at_once_get_their_own_answers(api):
    port = api.host_port(api.rent())
    big = "x" * 300_000

    def talk(number: int) -> tuple[int, int]:
        said = [{"role": "user", "content": f"[[plain]] {number} {big}"}]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for _ in range(3):
            connection.request("POST", "/api/chat", json.dumps({**CHAT, "messages": said}))
            answer = connection.getresponse()
            text = answer.read()
        connection.close()
        return answer.status, len(json.loads(text)["message"]["content"])

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(talk, range(32)))
    assert {status for status, _ in results} == {200}
    assert len(set(results)) == 1


def test_a_reset_of_the_model_server_arrives_as_a_reset(ollama, api):
    port = api.host_port(api.rent())
    ollama.fault(kind="reset", after_bytes=10)
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        ask(port)


def test_a_caller_that_hangs_up_is_noticed_on_the_other_side():
    with socket.create_server(("127.0.0.1", 0)) as upper:
        forwarder = PortForwarder(upper.getsockname)
        try:
            caller = socket.create_connection(("127.0.0.1", forwarder.port), timeout=20)
            server, _ = upper.accept()
            with server:
                caller.close()
                assert server.recv(1) == b""
                with pytest.raises(ConnectionError):
                    server.sendall(b"into the void" * 10**7)
        finally:
            forwarder.stop()


def test_destroying_an_instance_hangs_up_on_who_is_connected(ollama, api):
    made = api.rent()
    port = api.host_port(made)
    ollama.fault(kind="hang")
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask, port)
        assert eventually(lambda: bool(ollama.requests))
        api("DELETE", f"instances/{made}/")
        with pytest.raises((OSError, http.client.HTTPException)):
            asking.result(timeout=20)


@pytest.mark.parametrize("change", [{"state": "stopped"}, None])
def test_an_instance_that_no_longer_runs_has_no_port_and_gets_another_one(sim, api, change):
    made = api.rent()
    port = api.host_port(made)
    if change:
        api("PUT", f"instances/{made}/", change)
    else:
        sim.set_status(made, "offline")
    assert refused(port)
    api("PUT", f"instances/{made}/", {"state": "stopped"})
    api("PUT", f"instances/{made}/", {"state": "running"})
    assert ask(api.host_port(made))


def test_where_nothing_listens_callers_are_hung_up_on():
    with VastSim(boot_seconds=0) as sim:
        port = VastClient(sim).host_port(VastClient(sim).rent())
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            assert connection.recv(1) == b""


def test_only_the_model_server_s_port_leads_to_it(api):
    made = api.rent(env={"-p 11434:11434": "1", "-p 8080:8080": "1"})
    mapped = api.running(made)["ports"]
    with socket.create_connection(("127.0.0.1", int(mapped["8080/tcp"][0]["HostPort"])), timeout=20) as other:
        assert other.recv(1) == b""
    assert ask(int(mapped["11434/tcp"][0]["HostPort"]))


def test_a_half_close_passes_through():
    with socket.create_server(("127.0.0.1", 0)) as upper:
        forwarder = PortForwarder(upper.getsockname)
        try:
            with socket.create_connection(("127.0.0.1", forwarder.port), timeout=20) as caller:
                caller.sendall(b"question")
                caller.shutdown(socket.SHUT_WR)
                server, _ = upper.accept()
                with server:
                    asked = b"".join(iter(lambda: server.recv(100), b""))
                    server.sendall(b"answer to " + asked)
                assert b"".join(iter(lambda: caller.recv(100), b"")) == b"answer to question"
        finally:
            forwarder.stop()
            forwarder.stop()


def test_stopping_frees_all_ports_threads_and_sockets():
    def sockets() -> int:
        return sum(os.readlink(each).startswith("socket:") for each in Path("/proc/self/fd").iterdir()
                   if each.is_symlink())  # fmt: skip

    threads_before, sockets_before = set(threading.enumerate()), sockets()
    with OllamaSim() as ollama, VastSim(ollama=ollama, boot_seconds=0) as sim:
        api = VastClient(sim)
        ports = [api.host_port(api.rent(offer)) for offer in (7100101, 7100103, 7100104)]
        held = [http.client.HTTPConnection("127.0.0.1", port, timeout=20) for port in ports]
        for connection in held:
            connection.request("GET", "/api/version")
            assert connection.getresponse().read()
        all_ports = [*ports, sim.port, ollama.port]
    assert [port for port in all_ports if not refused(port)] == []
    for connection in held:
        connection.close()
    assert eventually(lambda: not set(threading.enumerate()) - threads_before)
    assert eventually(lambda: sockets() == sockets_before)


def test_a_reset_closes_the_ports_and_the_market_begins_anew(sim, api):
    port = api.host_port(api.rent())
    sim.reset()
    assert refused(port)
    assert ask(api.host_port(api.rent()))


def test_a_simulator_can_be_started_again(ollama):
    sim = VastSim(ollama=ollama, boot_seconds=0)
    for _ in range(2):
        with sim:
            api = VastClient(sim)
            made = api.rent()
            assert ask(api.host_port(made))
            api("DELETE", f"instances/{made}/")
    sim.assert_no_leaks()


def test_renting_one_offer_from_many_threads_succeeds_once(sim, api):
    path, body = "asks/7100101/", {"image": "ollama/ollama", "cancel_unavail": True}
    with ThreadPoolExecutor(16) as pool:
        statuses = sorted(reply.status for reply in pool.map(lambda _: api("PUT", path, body), range(16)))
    assert statuses == [200] + [404] * 15
    assert len(sim.ledger) == 1
