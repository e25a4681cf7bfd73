"""The load: clients that each submit a job and read it, again and again, on a connection of their own.

Run as a process of its own, since it shares the machine with the server it measures:
`python -m benchmarks.job_load PORT CLIENTS PAIRS MODEL_SERVER`. Prints one JSON object:
`{"pairs": …, "seconds": …, "p50_ms": …, "p99_ms": …, "cpu_ms_per_pair": …}`, the times being a pair's.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

HOST = "127.0.0.1"
TIMEOUT_SECONDS = 90.0


class Client(asyncio.Protocol):
    """One connection. It parses no more of an answer than it needs: status, length and the job's id."""

    def __init__(self, submission: bytes, pairs: int, done: asyncio.Future[list[float]]) -> None:
        self._submission, self._left, self._done = submission, pairs, done
        self._received = b""
        self._reading = False
        self._began = 0.0
        self._took: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._submit()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self._received = b""
        expected = b"HTTP/1.1 200" if self._reading else b"HTTP/1.1 202"
        if not head.startswith(expected):
            self._fail(f"answered {head.splitlines()[0]!r}: {body[:300]!r}")
        elif self._reading:
            self._took.append(time.perf_counter() - self._began)
            self._submit()
        else:
            self._read(json.loads(body)["job_id"])

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or RuntimeError("the server closed the connection"))

    def _submit(self) -> None:
        if not self._left:
            self._done.set_result(self._took)
            self._transport.close()
            return
        self._left -= 1
        self._reading, self._began = False, time.perf_counter()
        self._transport.write(self._submission)

    def _read(self, job_id: str) -> None:
        self._reading = True
        self._transport.write(f"GET /v1/jobs/{job_id} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())

    def _fail(self, reason: str) -> None:
        if not self._done.done():
            self._done.set_exception(RuntimeError(reason))
        self._transport.close()


def job_document(model_server: str) -> dict[str, str]:
    """A job whose model server is asked only whether it answers, which its type needs no model for."""
    return {
        "question": "What is wrong?",
        "backend_type": "openai",
        "backend_url": model_server,
        "model": "instant",
    }


def submission(model_server: str) -> bytes:
    """A whole request on a connection that is kept."""
    body = json.dumps(job_document(model_server)).encode()
    head = (
        f"POST /v1/jobs/agentic-agent HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def _load(port: int, clients: int, pairs: int, model_server: str) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    request = submission(model_server)
    ends = [loop.create_future() for _ in range(clients)]
    began, used = time.perf_counter(), time.process_time()
    for end in ends:
        await loop.create_connection(lambda end=end: Client(request, pairs, end), HOST, port)  # type: ignore[misc]
    async with asyncio.timeout(TIMEOUT_SECONDS):
        took = sorted(each for found in await asyncio.gather(*ends) for each in found)
    seconds, used = time.perf_counter() - began, time.process_time() - used
    return {
        "pairs": len(took),
        "seconds": seconds,
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[min(len(took) - 1, len(took) * 99 // 100)] * 1000,
        "cpu_ms_per_pair": used * 1000 / len(took),
    }


def main() -> None:
    port, clients, pairs = (int(each) for each in sys.argv[1:4])
    print(json.dumps(asyncio.run(_load(port, clients, pairs, sys.argv[4]))))


if __name__ == "__main__":
    main()
