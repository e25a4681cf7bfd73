"""A client of `runtime.terminal.v1` that keeps what it saw."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

PROTOCOL = "runtime.terminal.v1"


@contextmanager
def terminal(url: str, **options: Any) -> Iterator[ClientConnection]:
    """`url` of the run at the HTTP server, with a query if one is wanted."""
    options.setdefault("subprotocols", [PROTOCOL])
    # Who goes away in the middle does not wait until the server has noticed.
    options.setdefault("close_timeout", 0.5)
    with connect(url.replace("http", "ws", 1), proxy=None, max_size=64_000, **options) as socket:
        yield socket


def frames(socket: ClientConnection) -> Iterator[dict[str, Any]]:
    """Until the server closes. Every frame is within its limit."""
    while True:
        try:
            text = socket.recv(timeout=60)
        except ConnectionClosed:
            return
        assert isinstance(text, str)
        assert len(text.encode()) <= 32_000
        yield json.loads(text)


def joined(seen: list[dict[str, Any]], stream: str = "stdout") -> bytes:
    """The bytes of one stream; every chunk is where it says."""
    found = b""
    for frame in seen:
        if frame["type"] == "chunk" and frame["stream"] == stream:
            assert frame["offset"] == len(found)
            found += decoded(frame)
    return found


def decoded(frame: dict[str, Any]) -> bytes:
    data: str = frame["data"]
    return data.encode() if frame["encoding"] == "utf8" else base64.b64decode(data)


def closed_with(socket: ClientConnection) -> int | None:
    return socket.close_code
