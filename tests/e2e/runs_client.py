"""A client of the Runtime Runs API and a reader of its streams that sees every byte."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

EXTERNAL = {
    "mode": "audit_readonly",
    "runtime_profile": "cli_local",
    "repo": "demo",
    "ref": "main",
    "orchestrator_model": "Jules",
    "subagent_model": "deterministic",
    "budget": {"max_cost_usd": 1.0, "max_runtime_minutes": 5},
    "max_iterations": 1,
}


class Runs:
    """One caller under one of the two prefixes."""

    def __init__(self, url: str, token: str | None = None, prefix: str = "/api/v1/runs") -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        # No connection is kept, so there is none to close.
        limits = httpx.Limits(max_keepalive_connections=0)
        self.http = httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False, limits=limits)
        self.prefix = prefix

    def create(self, **body: Any) -> dict[str, Any]:
        answer = self.http.post(self.prefix, json=body or EXTERNAL)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def post(self, run_id: str, what: str, body: Any = None, **options: Any) -> httpx.Response:
        return self.http.post(f"{self.prefix}/{run_id}/{what}", json=body or {}, **options)

    def get(self, run_id: str, what: str = "", **query: Any) -> httpx.Response:
        return self.http.get(f"{self.prefix}/{run_id}{what}", params=query)

    def append(self, run_id: str, *drafts: dict[str, Any]) -> dict[str, Any]:
        answer = self.post(run_id, "events", {"events": list(drafts)})
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def lines(self, run_id: str, limit: int = 200, **query: Any) -> list[bytes]:
        """The stored lines of the whole log, read in pages of `limit`."""
        found: list[bytes] = []
        after = None
        while True:
            more = {"after_event_id": after} if after else {}
            answer = self.get(run_id, "/events/list", limit=limit, **more, **query)
            assert answer.status_code == 200, answer.text
            inner = answer.content.split(b'"events":[', 1)[1].rsplit(b'],"next_after_event_id"', 1)[0]
            found += split_objects(inner)
            page = answer.json()
            after = page["next_after_event_id"]
            if not page["has_more"]:
                return found


def split_objects(text: bytes) -> list[bytes]:
    """JSON objects side by side with commas between them, each with its bytes as they are."""
    found, depth, start, quoted, escaped = [], 0, 0, False, False
    for place, byte in enumerate(text):
        if escaped:
            escaped = False
        elif quoted:
            escaped = byte == 0x5C
            quoted = byte != 0x22
        elif byte == 0x22:
            quoted = True
        elif byte == 0x7B:
            start = place if depth == 0 else start
            depth += 1
        elif byte == 0x7D:
            depth -= 1
            if depth == 0:
                found.append(text[start : place + 1])
    return found


def draft(key: str, type_: str = "run_progress", **members: Any) -> dict[str, Any]:
    return {"producer_key": key, "type": type_, "payload": {"summary": f"about {key}"}, **members}


class Stream:
    """The body of a stream as it came, without the framing of its chunks."""

    def __init__(self, connection: socket.socket) -> None:
        self._file = connection.makefile("rb")
        self._connection = connection
        self.status = int(self._file.readline().split()[1])
        self.headers: dict[str, str] = {}
        while (line := self._file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()
        self._rest = b""

    def frames(self) -> Iterator[bytes]:
        """Each frame without the empty line that ends it; ends with the stream."""
        while True:
            while b"\n\n" in self._rest:
                frame, self._rest = self._rest.split(b"\n\n", 1)
                yield frame
            size = int(self._file.readline() or b"0", 16)
            if not size:
                assert self._rest == b""
                return
            self._rest += self._file.read(size)
            self._file.readline()

    def close(self) -> None:
        self._file.close()
        self._connection.close()


@contextmanager
def streaming(port: int, path: str, **headers: str) -> Iterator[Stream]:
    """A GET of a stream on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        lines = [f"GET {path} HTTP/1.1", "Host: rune", *(f"{name}: {text}" for name, text in headers.items())]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        stream = Stream(connection)
        try:
            yield stream
        finally:
            stream.close()
