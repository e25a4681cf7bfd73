"""What lists and reports cost with 100 and with 100,000 stored jobs, and what a burst of jobs leaves in memory.

The two servers answer in turns. A burst is 60 jobs submitted at once to the server with few jobs; its memory is
read before, with the state machines' interpreter loaded, and after the last of them has ended.
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.job_load import job_document
from benchmarks.local_server import LocalServer, local_server
from benchmarks.outcome import run_benchmark
from benchmarks.stored_runs import store_runs
from benchmarks.submit_read import VARIABLES, await_first_end, model_server
from rune.local.database import FILE_NAME

NAME = "job_lists"
AIMS = {
    "list_time_ratio": "<= 1.5",
    "filtered_list_time_ratio": "<= 1.5",
    "metrics_time_ratio": "<= 1.5",
    "most_running": "<= 10",
    "burst_growth_mb": "<= 50",
}
FEW, MANY, BURST = 100, 100_000, 60
BURST_SECONDS = 120.0
PATHS = {
    "list": "/v1/jobs?limit=50",
    "filtered_list": "/v1/jobs?limit=50&status=succeeded&kind=agentic-agent",
    "metrics": "/v1/metrics/summary",
    "finops": "/v1/finops/simulate?agent=holmes",
}


def measure(quick: bool) -> dict[str, float]:
    """Milliseconds of a request by size of the table, their ratio, and the burst's figures."""
    many, rounds, burst = (1_000, 3, 12) if quick else (MANY, 40, BURST)
    with (
        tempfile.TemporaryDirectory(prefix="rune-bench-") as scratch,
        model_server() as backend,
        ExitStack() as stack,
    ):
        servers = [
            stack.enter_context(local_server(_filled(Path(scratch) / str(count), count), VARIABLES))
            for count in (FEW, many)
        ]
        times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in PATHS}
        for _ in range(rounds):
            for name, path in PATHS.items():
                for side, server in zip(times[name], servers, strict=True):
                    side.append(_milliseconds(server, path))
        found: dict[str, float] = {}
        for name, (few, full) in times.items():
            found |= {
                f"{name}_ms_few": statistics.median(few),
                f"{name}_ms_full": statistics.median(full),
                f"{name}_time_ratio": statistics.median(full) / statistics.median(few),
            }
        return found | _burst(servers[0], burst, backend)


def _filled(folder: Path, count: int) -> Path:
    folder.mkdir()
    store_runs(folder.with_suffix(".db"), count, now_ms=time.time_ns() // 1_000_000)
    shutil.move(folder.with_suffix(".db"), folder / FILE_NAME)
    return folder


def _milliseconds(server: LocalServer, path: str) -> float:
    began = time.perf_counter()
    _answer(server, path)
    return (time.perf_counter() - began) * 1000


def _burst(server: LocalServer, count: int, backend: str) -> dict[str, float]:
    await_first_end(server, backend)
    before = sum(each.resident for each in server.memory().values())
    body = json.dumps(job_document(backend)).encode()
    since = time.time()
    for _ in range(count):
        _answer(server, "/v1/jobs/agentic-agent", body)
    most, ended, until = 0, 0, time.monotonic() + BURST_SECONDS
    while ended < count and time.monotonic() < until:
        running = len(_answer(server, "/v1/jobs?status=running&limit=200")["jobs"])
        most = max(most, running)
        path = f"/v1/jobs?status=succeeded&created_after={since:.3f}&limit=200"
        ended = len(_answer(server, path)["jobs"])
        time.sleep(0.05)
    after = sum(each.resident for each in server.memory().values())
    return {"burst_ended": ended, "most_running": most, "burst_growth_mb": after - before}


def _answer(server: LocalServer, path: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(
        f"{server.url}{path}", body, headers={"Content-Type": "application/json"} if body else {}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


if __name__ == "__main__":
    raise SystemExit(run_benchmark(NAME, AIMS, measure))
