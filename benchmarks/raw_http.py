"""HTTP/1.1 over plain streams: small enough that the load does not measure its own client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Self


class Connection:
    """One connection that is kept open. Answers must tell their length, except `stream`'s."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Self:
        # One event of a log can be 32 KiB on one line.
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1024 * 1024))

    async def call(self, method: str, path: str, document: Any = None) -> tuple[int, bytes]:
        """Status and body."""
        content = b"" if document is None else json.dumps(document).encode()
        self._writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: rune\r\nContent-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        status, headers = await self._head()
        return status, await self._reader.readexactly(int(headers.get(b"content-length", b"0")))

    async def stream(self, path: str) -> AsyncIterator[bytes]:
        """The lines of an answer that ends when it wants to, without the framing of its chunks."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: rune\r\nAccept: text/event-stream\r\n\r\n".encode())
        status, _ = await self._head()
        if status != 200:
            raise RuntimeError(f"the stream was answered with {status}")
        rest = b""
        while size := int(await self._reader.readline(), 16):
            chunk = rest + (await self._reader.readexactly(size + 2))[:-2]
            *lines, rest = chunk.split(b"\n")
            for line in lines:
                yield line

    def close(self) -> None:
        self._writer.close()

    async def _head(self) -> tuple[int, dict[bytes, bytes]]:
        first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        pairs = (line.partition(b":") for line in lines if line)
        return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}
