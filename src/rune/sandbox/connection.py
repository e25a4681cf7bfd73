"""The HTTP/1.1 side of a simulator: sockets, keep-alive, chunked bodies, broken connections."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from rune.sandbox.exchange import SimRequest, SimResponse

Answer = Callable[[SimRequest], tuple[SimResponse, Callable[[bool], None]]]
"""Answers a request and gives a callback that is told, after the write, whether the caller took it all."""

GONE = (ConnectionError, TimeoutError, ssl.SSLError, ValueError)
"""What a write or read raises once either side has closed; ValueError is a closed file object's."""


class SimServer(ThreadingHTTPServer):
    """Listens on loopback only; `stop` ends held requests and open keep-alive connections as well."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    block_on_close = False

    def __init__(self, port: int, answer: Answer, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.answer = answer
        self.stopping = threading.Event()
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._loop = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self._loop.join()
        self.server_close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            # The handshake waits for the first read, in the connection's own thread: a caller that connects
            # and says nothing must not keep others out.
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that goes away, or does not speak TLS, is no news; anything else is a defect to show."""
        if not isinstance(sys.exception(), GONE):
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "rune-sandbox"
    sys_version = ""
    server: SimServer

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are kept in the request log, not printed."""

    def serve(self) -> None:
        try:
            self._serve()
        except GONE:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        request = SimRequest(
            method=self.command,
            path=unquote(parts.path),
            query=parse_qs(parts.query, keep_blank_values=True),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self._read_body(),
            client_gone=self._client_gone,
        )
        response, done = self.server.answer(request)
        whole = False
        try:
            whole = self._write(response)
        finally:
            done(whole)
            close = getattr(response.body, "close", None)
            if close is not None:
                close()

    def _read_body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            continue
        return b"".join(pieces)

    def _client_gone(self) -> bool:
        """True once the caller has hung up or the server stops; data that waits unread means it has not."""
        if self.server.stopping.is_set():
            return True
        try:
            if isinstance(self.connection, ssl.SSLSocket):
                return _tls_peer_closed(self.connection)
            readable = select.select([self.connection], [], [], 0)[0]
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True

    def _write(self, response: SimResponse) -> bool:
        """Write head and body; False when the answer was cut on purpose or the server is stopping."""
        cut = response.cut
        if cut is not None and cut.after_bytes is None:
            return self._break(cut.reset)
        body = response.body
        streamed = not isinstance(body, bytes)
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if isinstance(body, bytes):
            self.send_header("Content-Length", str(len(body)))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        if self.server.stopping.is_set():
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "HEAD" or response.status in (204, 304):
            return True
        budget = None if cut is None else cut.after_bytes
        for piece in iter([body]) if isinstance(body, bytes) else body:
            piece = piece if budget is None else piece[:budget]
            self._write_piece(piece, streamed)
            budget = None if budget is None else budget - len(piece)
            if budget == 0:
                break
            if self.server.stopping.is_set():
                self.close_connection = True
                return False
        if cut is not None:
            return self._break(cut.reset)
        if streamed:
            self.wfile.write(b"0\r\n\r\n")
        return True

    def _write_piece(self, piece: bytes, chunked: bool) -> None:
        if piece:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)

    def _break(self, reset: bool) -> bool:
        self.close_connection = True
        if reset:
            # Linger zero makes the close a TCP RST. The descriptor itself is closed, because the file objects
            # still hold the socket and an orderly shutdown would follow otherwise.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())
        return False


def _tls_peer_closed(connection: ssl.SSLSocket) -> bool:
    """Peek below the TLS layer: end of stream, or a close_notify alert (record type 21), means gone."""
    with socket.socket(fileno=os.dup(connection.fileno())) as raw:
        if not select.select([raw], [], [], 0)[0]:
            return False
        return raw.recv(1, socket.MSG_PEEK) in (b"", b"\x15")
