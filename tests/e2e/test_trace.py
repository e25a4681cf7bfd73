"""Following a job on the local server, as curl does (jobs-api.md 9.1; acceptance 11, 24)."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import pytest
from tests.e2e.jobs_client import Jobs
from tests.e2e.local_server import LocalServer, eventually

READ_TIMEOUT = 5.0
"""A public client gives up after so many seconds without a byte."""


@dataclass
class Stream:
    """A GET on a socket of its own; every chunk with the time at which it came."""

    url: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    head: str = ""
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    asked_at: float = 0.0

    def chunked(self) -> Iterator[bytes]:
        """The body, until the server closes the connection. A silence of 5 s is an error."""
        target = urlsplit(self.url)
        with closing(socket.create_connection((target.hostname, target.port), timeout=READ_TIMEOUT)) as peer:
            lines = [f"GET {self.path} HTTP/1.1", f"Host: {target.netloc}", "Accept: text/event-stream"]
            lines += [f"{name}: {value}" for name, value in self.headers.items()]
            self.asked_at = time.monotonic()
            peer.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            with peer.makefile("rb") as file:
                self.head = "".join(iter(lambda: file.readline().decode(), "\r\n"))
                if "transfer-encoding: chunked" not in self.head.lower():
                    return
                while size := int(file.readline(), 16):
                    chunk = file.read(size)
                    self.chunks.append((time.monotonic(), chunk))
                    file.readline()
                    yield chunk
                file.readline()
                assert file.read() == b"", "the connection is closed after the last chunk"

    def read(self) -> str:
        return b"".join(self.chunked()).decode()


def frames(text: str) -> list[dict[str, str]]:
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


def path_of(job_id: str, query: str = "") -> str:
    return f"/v1/runs/{job_id}/trace{query}"


def test_a_slow_job_is_followed_from_its_first_byte_to_its_end(jobs: Jobs) -> None:
    job_id = jobs.submit("ready called sleep:6 late")
    stream = Stream(str(jobs.http.base_url), path_of(job_id))
    text = stream.read()
    assert "200 OK" in stream.head
    assert "content-type: text/event-stream" in stream.head.lower()
    assert stream.chunks[0][1] == b"retry: 2000\n\n"
    assert ": keep-alive\n\n" in text
    moments = [stream.asked_at, *(at for at, _ in stream.chunks)]
    assert max(later - earlier for earlier, later in zip(moments, moments[1:], strict=False)) < READ_TIMEOUT
    _, *events, end = frames(text)
    assert (end["event"], end["data"]) == ("end", "{}")
    listed = jobs.events(job_id)
    assert [int(each["id"]) for each in events] == [event["seq"] for event in listed]
    assert [json.loads(each["data"])["event"] for each in events] == [event["event"] for event in listed]
    known = events[3]["id"]
    for resumed in (
        Stream(stream.url, path_of(job_id), {"Last-Event-ID": known}),
        Stream(stream.url, path_of(job_id, f"?after={known}")),
        Stream(stream.url, f"/api{path_of(job_id)}", {"Last-Event-ID": known}),
    ):
        assert frames(resumed.read())[1:] == [*events[4:], end]
    after = Stream(stream.url, path_of(job_id), {"Last-Event-ID": end["id"]})
    assert after.read() == ""
    assert "204 No Content" in after.head


def test_a_reader_that_loses_its_connection_again_and_again_misses_nothing(jobs: Jobs) -> None:
    job_id = jobs.submit("ready called sleep:0.5 tool called sleep:0.5 done")
    seen: list[str] = []
    for _ in range(100):
        stream = Stream(str(jobs.http.base_url), path_of(job_id), {"Last-Event-ID": seen[-1]} if seen else {})
        for chunk in stream.chunked():
            new = [each["id"] for each in frames(chunk.decode()) if each.get("event") == "log"]
            seen += new
            if new:
                break
        if "204 No Content" in stream.head:
            break
    assert [int(each) for each in seen] == [event["seq"] for event in jobs.events(job_id)]


def test_many_readers_of_one_job_all_hear_the_same(jobs: Jobs) -> None:
    job_id = jobs.submit("ready sleep:2 called done")
    streams = [Stream(str(jobs.http.base_url), path_of(job_id)) for _ in range(40)]
    heard: list[str] = []
    readers = [threading.Thread(target=lambda each=each: heard.append(each.read())) for each in streams]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(60)
    assert len(heard) == 40
    assert len({json.dumps(frames(text)) for text in heard}) == 1


def test_a_place_that_is_none_and_a_run_that_is_not_there_are_plain_answers(jobs: Jobs) -> None:
    job_id = jobs.ask("hello")["job_id"]
    answer = jobs.http.get(path_of(job_id), headers={"Last-Event-ID": "x"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")
    assert jobs.http.get(path_of("no-such-run")).status_code == 404
    foreign = jobs.http.get(path_of(job_id), headers={"X-Tenant-ID": "teamb"})
    assert (foreign.status_code, foreign.json()["error"]) == (404, "job not found")


def test_the_server_ends_while_somebody_follows(server: LocalServer, jobs: Jobs) -> None:
    """Last in this module: it stops the module's server."""
    job_id = jobs.submit("sleep:60")
    stream = Stream(server.url, path_of(job_id))
    failures: list[Exception] = []

    def follow() -> None:
        try:
            stream.read()
        except (OSError, ValueError, AssertionError) as exc:
            failures.append(exc)

    reader = threading.Thread(target=follow)
    reader.start()
    eventually(lambda: stream.chunks, "the first byte")
    assert server.terminate() == 0
    reader.join(30)
    assert not reader.is_alive()
    with pytest.raises(httpx.TransportError):
        jobs.get(job_id)
