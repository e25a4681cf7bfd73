"""HTTP to one address that was checked (jobs-api.md 5.1): what was looked up once is what is connected to.

Host and SNI keep the name. No redirects, no proxies, nothing of the environment; a bounded time for the whole
exchange and a bounded body.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import httpcore
import httpx

from rune_common.domain.addresses import CheckedUrl
from rune_common.domain.errors import Unavailable

CONNECT_SECONDS = 5.0
MAX_LINE_BYTES = 64 * 1024
MIN_WAIT_SECONDS = 0.001
"""A wait of 0 s would mean "do not block"."""


FAILURES: tuple[type[Exception], ...] = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    OSError,
)
"""What a server, or what lies between, can do to an exchange."""


class CheckedHttp:
    """A context manager over requests to `checked`, all of them together within `seconds`.

    No answer may have more than `max_bytes`.
    `close` from another thread ends a request that is under way.
    """

    def __init__(self, checked: CheckedUrl, *, seconds: float, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        until = time.monotonic() + seconds
        self._client = httpx.Client(
            base_url=checked.url,
            transport=_CheckedTransport(_CheckedBackend(checked, until), tls=checked.scheme == "https"),
            # A compressed answer could grow beyond its bound when it is unpacked.
            headers={"Accept-Encoding": "identity"},
            follow_redirects=False,
            trust_env=False,
            timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Status and JSON (None when there is none). Raises Unavailable."""
        try:
            with self._client.stream(method, path, json=body) as answer:
                content = b""
                for part in answer.iter_raw():
                    content += part
                    if len(content) > self._max_bytes:
                        raise Unavailable("the server's answer is too large")
                return answer.status_code, _json(content)
        except FAILURES as exc:
            raise Unavailable("the server does not answer") from exc

    def lines(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """The JSON of each line of an answer 200, as it arrives. Raises Unavailable, also for another status."""
        try:
            with self._client.stream(method, path, json=body) as answer:
                if answer.status_code != 200:
                    raise Unavailable("the server refused a request")
                rest = b""
                for part in answer.iter_raw():
                    *whole, rest = (rest + part).split(b"\n")
                    if len(rest) > MAX_LINE_BYTES:
                        raise Unavailable("the server's answer has no line ends")
                    yield from map(_json, filter(None, whole))
                if rest:
                    yield _json(rest)
        except FAILURES as exc:
            raise Unavailable("the server does not answer") from exc


class _CheckedTransport(httpx.BaseTransport):
    """httpx over a connection pool whose sockets come from `backend`."""

    def __init__(self, backend: httpcore.NetworkBackend, *, tls: bool) -> None:
        context: ssl.SSLContext | None = httpx.create_ssl_context(trust_env=False) if tls else None
        self._pool = httpcore.ConnectionPool(ssl_context=context, network_backend=backend, max_connections=2)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        answer = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        assert isinstance(answer.stream, Iterable)
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer.stream),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        yield from self._parts

    def close(self) -> None:
        close = getattr(self._parts, "close", None)
        if close is not None:
            close()


class _CheckedBackend(httpcore.NetworkBackend):
    """Connects to the checked addresses, one after the other, whatever name the request has."""

    def __init__(self, checked: CheckedUrl, until: float) -> None:
        self._checked = checked
        self._until = until
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        connect_until = min(self._until, time.monotonic() + CONNECT_SECONDS)
        problem: Exception = httpcore.ConnectError("no address")
        for address in self._checked.addresses:
            try:
                stream = self._inner.connect_tcp(
                    address, self._checked.port, timeout=_left(connect_until), socket_options=socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                problem = exc
            else:
                return _TimedStream(stream, self._until)
        raise problem


class _TimedStream(httpcore.NetworkStream):
    """A stream on which every wait ends at `until`: a server that sends a byte now and then cannot go on."""

    def __init__(self, inner: httpcore.NetworkStream, until: float) -> None:
        self._inner = inner
        self._until = until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._until))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(self._until))

    def close(self) -> None:
        # Closing alone does not wake a thread that waits for this socket.
        found = self._inner.get_extra_info("socket")
        if isinstance(found, socket.socket):
            with suppress(OSError):
                socket.socket.shutdown(found, socket.SHUT_RDWR)
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.start_tls(ssl_context, server_hostname, _left(self._until))
        return _TimedStream(stream, self._until)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(until: float) -> float:
    """Seconds left, never 0. Raises ReadTimeout when there are none."""
    left = until - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time is over")
    return max(left, MIN_WAIT_SECONDS)


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
