"""The mapped ports of instances: real TCP listeners on loopback that lead to the model server."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator

Address = tuple[str, int]
Target = Callable[[], Address | None]

OLLAMA_PORT = "11434/tcp"
CHUNK = 65536
CONNECT_SECONDS = 5.0
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on with zero seconds: the next close is a TCP RST."""


class PortForwarder:
    """Listens on a free port of 127.0.0.1 and hands each connection on to `target()`.

    Without a target, or when it does not answer, a caller is hung up on, as by a container in which nothing
    listens. Half-closes and resets pass through. `stop` hangs up on everyone and ends all threads.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._stopped = False
        self._loop = threading.Thread(target=self._accept, name=f"forward-{self.port}", daemon=True)
        self._loop.start()

    def stop(self) -> None:
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        self._wake_writer.send(b"x")
        self._loop.join()
        self._listener.close()
        with self._lock:
            threads = list(self._threads)
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        self._wake_reader.close()
        self._wake_writer.close()

    def _accept(self) -> None:
        while True:
            ready, _, _ = select.select([self._listener, self._wake_reader], [], [])
            if self._wake_reader in ready:
                return
            with contextlib.suppress(OSError):
                caller, _ = self._listener.accept()
                self._start(caller)

    def _start(self, caller: socket.socket) -> None:
        thread = threading.Thread(target=self._serve, args=(caller,), daemon=True)
        with self._lock:
            self._threads = {each for each in self._threads if each.is_alive()} | {thread}
        thread.start()

    def _serve(self, caller: socket.socket) -> None:
        with caller, self._tracked(caller):
            address = self._target()
            if address is None:
                return
            try:
                server = socket.create_connection(address, CONNECT_SECONDS)
            except OSError:
                return
            with server, self._tracked(server):
                server.settimeout(None)
                for each in (caller, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                back = threading.Thread(target=_pump, args=(server, caller), daemon=True)
                back.start()
                _pump(caller, server)
                back.join()

    @contextlib.contextmanager
    def _tracked(self, connection: socket.socket) -> Iterator[None]:
        """While a connection is served `stop` can end it; one that comes too late is ended at once."""
        with self._lock:
            self._open.add(connection)
            if self._stopped:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy until the source ends; its end is passed on, and so is a reset on either side."""
    try:
        while data := source.recv(CHUNK):
            sink.sendall(data)
    except OSError:
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                each.shutdown(socket.SHUT_RD)
    else:
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


class PortMap:
    """The mapped ports of all instances. `target` is where port 11434 leads; other ports lead nowhere."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._forwarders: dict[int, dict[str, PortForwarder]] = {}
        self._gone: set[int] = set()
        self._closed = False

    def document(self, instance_id: int, container_ports: Iterable[str]) -> dict[str, object]:
        """`{"11434/tcp": [{"HostIp", "HostPort"}]}`, with listeners opened where there are none yet."""
        with self._lock:
            if self._closed or instance_id in self._gone:
                return {}
            mapped = self._forwarders.setdefault(instance_id, {})
            for port in container_ports:
                if port not in mapped:
                    mapped[port] = PortForwarder(self._target if port == OLLAMA_PORT else _nowhere)
            return {
                port: [{"HostIp": "0.0.0.0", "HostPort": str(forwarder.port)}]
                for port, forwarder in mapped.items()
            }

    def close(self, instance_id: int, *, for_good: bool = False) -> None:
        """Hang up on an instance's callers; a later `document` gives other ports, or none `for_good`.

        The latter because a list that is being written may still hold an instance that was just destroyed.
        """
        with self._lock:
            if for_good:
                self._gone.add(instance_id)
            _stop_all(self._forwarders.pop(instance_id, {}))

    def close_all(self) -> None:
        with self._lock:
            self._closed = True
            for mapped in self._forwarders.values():
                _stop_all(mapped)
            self._forwarders.clear()

    def reopen(self) -> None:
        """Begin anew: no instance is known."""
        with self._lock:
            self._closed = False
            self._gone.clear()


def _stop_all(mapped: dict[str, PortForwarder]) -> None:
    for forwarder in mapped.values():
        forwarder.stop()


def _nowhere() -> None:
    return None
