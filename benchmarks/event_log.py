"""The event log of one run under load: appending, following by many, reading again, and idle followers.

The local server is a process of its own, as is its database; the load is this process. All of them share the
machine's cores.
"""

from __future__ import annotations

import asyncio
import json
import resource
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.local_server import LocalServer, local_server
from benchmarks.outcome import run_benchmark
from benchmarks.raw_http import Connection

NAME = "event_log"
AIMS = {
    "appended_per_s": ">= 500",
    "delivery_p99_ms": "<= 100",
    "replayed_per_s": ">= 20000",
    "idle_streams_mb": "<= 200",
}
VARIABLES = {
    "RUNE_STREAMS_PER_TOKEN": "100000",
    "RUNE_API_AUTH_RATE_BURST": "1000000",
    "RUNE_API_AUTH_RATE_PER_SECOND": "1000000",
}
BATCH = 40
RUNS = "/api/v1/runs"


@dataclass(frozen=True, slots=True)
class Size:
    """`writers` append `appends` batches each; `followers` hear of `told` events, one every `pause` seconds."""

    writers: int
    singles: int
    appends: int
    followers: int
    told: int
    pause: float
    replayed: int
    idle: int


FULL = Size(
    writers=4, singles=150, appends=60, followers=200, told=100, pause=0.1, replayed=99_000, idle=1000
)
QUICK = Size(writers=2, singles=5, appends=2, followers=5, told=5, pause=0.02, replayed=400, idle=20)


def measure(quick: bool) -> Mapping[str, float]:
    size = QUICK if quick else FULL
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    with (
        tempfile.TemporaryDirectory(prefix="rune-bench-") as folder,
        local_server(Path(folder) / "data", VARIABLES) as server,
    ):
        return asyncio.run(_measured(server, size))


async def _measured(server: LocalServer, size: Size) -> dict[str, float]:
    return {
        **await _appending(server, size),
        **await _delivery(server, size),
        **await _replay(server, size),
        **await _idle(server, size),
    }


async def _appending(server: LocalServer, size: Size) -> dict[str, float]:
    """Events that several clients append to one run: one in each request, and as many as a request may have."""
    found = {}
    for name, batch, each in (("single", 1, size.singles), ("batch", BATCH, size.appends)):
        run = await _new_run(server)
        writers = [await Connection.open(server.port) for _ in range(size.writers)]
        began = time.perf_counter()
        await asyncio.gather(*(_append(writer, run, batch, each, n) for n, writer in enumerate(writers)))
        found[name] = size.writers * each * batch / (time.perf_counter() - began)
        for writer in writers:
            writer.close()
    return {"appended_per_s": found["batch"], "appended_singly_per_s": found["single"]}


async def _append(writer: Connection, run: str, batch: int, times: int, number: int) -> None:
    for turn in range(times):
        events = [draft(f"{number}-{turn}-{place}") for place in range(batch)]
        status, body = await writer.call("POST", f"{RUNS}/{run}/events", {"events": events})
        if status != 201:
            raise RuntimeError(f"an append was answered with {status}: {body[:200]!r}")


def draft(key: str) -> dict[str, object]:
    """An event of usual size: about 0.8 KB as it is stored."""
    data = {"files": [f"src/module_{place}.py" for place in range(8)], "at": time.perf_counter()}
    return {
        "producer_key": key,
        "type": "run_progress",
        "payload": {"summary": f"scanned {key}", "detail": data},
    }


async def _delivery(server: LocalServer, size: Size) -> dict[str, float]:
    """From the moment before an event is sent until each of many followers has it, in milliseconds."""
    run = await _new_run(server)
    times: list[float] = []
    ready = asyncio.Semaphore(0)

    async def follow(connection: Connection) -> None:
        async for line in connection.stream(f"{RUNS}/{run}/events?tail=1"):
            if line.startswith(b"retry:"):
                ready.release()
            elif line.startswith(b"data: ") and b'"run_progress"' in line:
                sent = json.loads(line[6:])["payload"]["detail"]["at"]
                times.append((time.perf_counter() - sent) * 1000)

    connections = [await Connection.open(server.port) for _ in range(size.followers)]
    followers = [asyncio.create_task(follow(each)) for each in connections]
    for _ in followers:
        await ready.acquire()
    writer = await Connection.open(server.port)
    for turn in range(size.told):
        await writer.call("POST", f"{RUNS}/{run}/events", draft(str(turn)))
        await asyncio.sleep(size.pause)
    await writer.call("POST", f"{RUNS}/{run}/complete", {"stop_class": "clean"})
    await asyncio.gather(*followers)
    for connection in (*connections, writer):
        connection.close()
    times.sort()
    if len(times) != size.followers * size.told:
        raise RuntimeError(f"{len(times)} deliveries of {size.followers * size.told}")
    return {
        "delivery_p50_ms": times[len(times) // 2],
        "delivery_p99_ms": times[len(times) * 99 // 100],
    }


async def _replay(server: LocalServer, size: Size) -> dict[str, float]:
    """A long log read from its start in the largest pages, and its status."""
    run = await _new_run(server)
    writer = await Connection.open(server.port)
    for turn in range(size.replayed // BATCH):
        events = [draft(f"{turn}-{place}") for place in range(BATCH)]
        await writer.call("POST", f"{RUNS}/{run}/events", {"events": events})
    began, read, after = time.perf_counter(), 0, ""
    while True:
        _, body = await writer.call("GET", f"{RUNS}/{run}/events/list?limit=500{after}")
        head, _, tail = body.rpartition(b'],"next_after_event_id":')
        page = json.loads(b'{"next_after_event_id":' + tail)
        read += head.count(b'"event_id":')
        after = f"&after_event_id={page['next_after_event_id']}"
        if not page["has_more"]:
            break
    seconds = time.perf_counter() - began
    if read < size.replayed // BATCH * BATCH:
        raise RuntimeError(f"only {read} events were read")
    began = time.perf_counter()
    await writer.call("GET", f"{RUNS}/{run}")
    status_ms = (time.perf_counter() - began) * 1000
    writer.close()
    return {"replayed_per_s": read / seconds, "long_status_ms": status_ms}


async def _idle(server: LocalServer, size: Size) -> dict[str, float]:
    """What followers that hear nothing cost the server, in megabytes."""
    run = await _new_run(server)
    before = server.memory()["api"].proportional
    connections = [await Connection.open(server.port) for _ in range(size.idle)]
    ready = asyncio.Semaphore(0)

    async def follow(connection: Connection) -> None:
        async for line in connection.stream(f"{RUNS}/{run}/events?tail=1"):
            if line.startswith(b"retry:"):
                ready.release()

    followers = [asyncio.create_task(follow(each)) for each in connections]
    for _ in followers:
        await ready.acquire()
    used = server.memory()["api"].proportional - before
    for follower in followers:
        follower.cancel()
    await asyncio.gather(*followers, return_exceptions=True)
    for connection in connections:
        connection.close()
    return {"idle_streams_mb": max(0.001, used)}


async def _new_run(server: LocalServer) -> str:
    connection = await Connection.open(server.port)
    _, body = await connection.call("POST", RUNS, {"kind": "external"})
    connection.close()
    run: str = json.loads(body)["run_id"]
    return run


if __name__ == "__main__":
    raise SystemExit(run_benchmark(NAME, AIMS, measure))
