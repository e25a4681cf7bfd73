"""Jobs that the local server takes and shows per second, empty and with 100,000 runs in its table.

Each client submits a job and reads it back, on one connection; the load comes from another process. The jobs
are worked off meanwhile, with all their steps: a stream consumer starts each, the state machine admits it,
asks its model server, starts an agent, and records how it ended. The agent answers at once.
"""

from __future__ import annotations

import json
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.job_load import job_document
from benchmarks.local_server import LocalServer, local_server
from benchmarks.outcome import run_benchmark
from benchmarks.stored_runs import store_runs
from rune.local.database import FILE_NAME
from rune.local.functions import ROOT

NAME = "submit_read"
AIMS = {"pairs_per_s_16": ">= 400", "p99_ms_16": "<= 100", "full_to_empty": ">= 0.9"}
MANY = 16
LOAD_SECONDS = 120.0
END_SECONDS = 30.0
_ANSWER = json.dumps({"status": "ok", "result": {"answer": "Nothing is wrong.", "result_type": "text"}})
VARIABLES = {
    "RUNE_HOLMES_DRIVER_CMD": shlex.join(["/bin/sh", "-c", f"cat >/dev/null; echo {shlex.quote(_ANSWER)}"]),
    "RUNE_TENANT_MAX_ACTIVE_RUNS": "1000000",
    "RUNE_API_AUTH_RATE_BURST": "1000000",
    "RUNE_API_AUTH_RATE_PER_SECOND": "1000000",
}


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done; `pairs` are those of one client alone, and of each of many."""

    stored: int
    rounds: int
    pairs_alone: int
    pairs_each: int


FULL, QUICK = Size(100_000, 2, 100, 100), Size(200, 1, 10, 3)


@dataclass(frozen=True, slots=True)
class Load:
    """What one load measured: pairs per second, a pair's latency in ms, CPU ms per pair of each process."""

    pairs_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class Round:
    alone: Load
    many: Load
    ended_per_s: float


def measure(quick: bool) -> dict[str, float]:
    """The medians of rounds that alternate between an empty and a full table, each on a fresh server."""
    size = QUICK if quick else FULL
    empty, full = [], []
    with tempfile.TemporaryDirectory(prefix="rune-bench-") as scratch, model_server() as backend:
        stored = Path(scratch) / FILE_NAME
        store_runs(stored, size.stored, now_ms=time.time_ns() // 1_000_000)
        for number in range(size.rounds):
            empty.append(_round(Path(scratch) / f"empty-{number}", None, size, backend))
            full.append(_round(Path(scratch) / f"full-{number}", stored, size, backend))
    ratios = [ours.many.pairs_per_s / base.many.pairs_per_s for ours, base in zip(full, empty, strict=True)]
    return {
        "pairs_per_s_16": statistics.median(each.many.pairs_per_s for each in empty),
        "p50_ms_16": statistics.median(each.many.p50_ms for each in empty),
        "p99_ms_16": statistics.median(each.many.p99_ms for each in empty),
        "pairs_per_s_1": statistics.median(each.alone.pairs_per_s for each in empty),
        "p50_ms_1": statistics.median(each.alone.p50_ms for each in empty),
        "p99_ms_1": statistics.median(each.alone.p99_ms for each in empty),
        "pairs_per_s_16_full": statistics.median(each.many.pairs_per_s for each in full),
        "p99_ms_16_full": statistics.median(each.many.p99_ms for each in full),
        "full_to_empty": statistics.median(ratios),
        "ended_per_s": statistics.median(each.ended_per_s for each in (*empty, *full)),
        **{
            f"{role}_cpu_ms_per_pair": statistics.median(each.many.cpu_ms[role] for each in empty)
            for role in ("api", "database", "worker", "load")
        },
    }


def _round(data_dir: Path, stored: Path | None, size: Size, model_server: str) -> Round:
    data_dir.mkdir()
    if stored is not None:
        shutil.copyfile(stored, data_dir / FILE_NAME)
    with local_server(data_dir, VARIABLES) as server:
        since = time.time()
        await_first_end(server, model_server)
        began = time.monotonic()
        alone = _load(server, 1, size.pairs_alone, model_server)
        many = _load(server, MANY, size.pairs_each, model_server)
        ended = _ended(server, since) - 1
        done = Round(alone, many, ended / (time.monotonic() - began))
    shutil.rmtree(data_dir)
    return done


def _load(server: LocalServer, clients: int, pairs: int, model_server: str) -> Load:
    before = server.cpu_seconds()
    output = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.job_load",
            str(server.port),
            str(clients),
            str(pairs),
            model_server,
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        timeout=LOAD_SECONDS,
    ).stdout
    found, after = json.loads(output), server.cpu_seconds()
    used = {role: (after[role] - before[role]) * 1000 / found["pairs"] for role in after}
    return Load(
        found["pairs"] / found["seconds"],
        found["p50_ms"],
        found["p99_ms"],
        used | {"load": found["cpu_ms_per_pair"]},
    )


def await_first_end(server: LocalServer, model_server: str) -> None:
    """One job to its success. It shows that jobs are worked off, and loads the state machines' interpreter."""
    document = json.dumps(job_document(model_server)).encode()
    job_id = _answer(server, "/v1/jobs/agentic-agent", document)["job_id"]
    until = time.monotonic() + END_SECONDS
    while (status := _answer(server, f"/v1/jobs/{job_id}")["status"]) in ("queued", "running"):
        if time.monotonic() > until:
            raise RuntimeError(f"the first job is still {status}")
        time.sleep(0.05)
    if status != "succeeded":
        raise RuntimeError(f"the first job {status}")


def _ended(server: LocalServer, since: float) -> int:
    """How many of the jobs that were submitted since then have succeeded; at most 200."""
    found = _answer(server, f"/v1/jobs?status=succeeded&created_after={since:.3f}&limit=200")
    return len(found["jobs"])


def _answer(server: LocalServer, path: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(
        f"{server.url}{path}", body, headers={"Content-Type": "application/json"} if body else {}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@contextmanager
def model_server() -> Iterator[str]:
    """Yields the address of a server that answers every question for its health."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Healthy)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


if __name__ == "__main__":
    raise SystemExit(run_benchmark(NAME, AIMS, measure))
