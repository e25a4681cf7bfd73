"""A small HTTP client for preflight: connects to one checked address, follows no redirect."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

MAX_BODY = 4 * 1024 * 1024


class NoAnswer(Exception):
    """No HTTP answer came. `timed_out` tells a slow server from one that refused."""

    def __init__(self, timed_out: bool) -> None:
        super().__init__("no answer")
        self.timed_out = timed_out


@dataclass(frozen=True, slots=True)
class Answer:
    """`document` is None when the body is no JSON object."""

    status: int
    document: dict[str, Any] | None
    text: str


@dataclass(frozen=True, slots=True)
class BackendClient:
    """`base`: URL that paths are appended to. `address`: the checked address of its host."""

    base: str
    address: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    def get(self, path: str, timeout: float) -> Answer:
        return self._whole("GET", path, None, timeout)

    def post(self, path: str, body: dict[str, Any], timeout: float) -> Answer:
        return self._whole("POST", path, body, timeout)

    def post_lines(self, path: str, body: dict[str, Any], timeout: float) -> Iterator[dict[str, Any]]:
        """The objects of an NDJSON answer as they come; an error status gives one with `error`."""
        connection = self._connect(timeout)
        with closing(connection):
            response = self._send(connection, "POST", path, body)
            if response.status != 200:
                answer = _answer(response.status, response.read(MAX_BODY))
                yield {"error": (answer.document or {}).get("error") or f"status {answer.status}"}
                return
            try:
                while line := response.readline(MAX_BODY):
                    document = _object(line)
                    if document is not None:
                        yield document
            except (OSError, http.client.HTTPException) as exc:
                raise NoAnswer(isinstance(exc, TimeoutError)) from exc

    def _whole(self, method: str, path: str, body: dict[str, Any] | None, timeout: float) -> Answer:
        connection = self._connect(timeout)
        with closing(connection):
            response = self._send(connection, method, path, body)
            try:
                return _answer(response.status, response.read(MAX_BODY))
            except (OSError, http.client.HTTPException) as exc:
                raise NoAnswer(isinstance(exc, TimeoutError)) from exc

    def _send(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: dict[str, Any] | None
    ) -> http.client.HTTPResponse:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", "Content-Type": "application/json", **self.headers}
        try:
            connection.request(method, urlsplit(self.base).path.rstrip("/") + path, data, headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as exc:
            raise NoAnswer(isinstance(exc, TimeoutError)) from exc

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        parts = urlsplit(self.base)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
        try:
            plain = socket.create_connection((self.address, port), timeout)
            secure = parts.scheme == "https"
            # Host header and certificate check keep the name; only the connection goes by address.
            connection.sock = (
                ssl.create_default_context().wrap_socket(plain, server_hostname=host) if secure else plain
            )
        except OSError as exc:
            raise NoAnswer(isinstance(exc, TimeoutError)) from exc
        return connection


def _answer(status: int, body: bytes) -> Answer:
    return Answer(status, _object(body), body[:500].decode("utf-8", errors="replace"))


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
