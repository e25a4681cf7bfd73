"""A long run's evidence: how long a bundle takes to build and to check, and what that holds in memory.

`python -m benchmarks.evidence_bundle`: 100,000 events, as a talkative command run leaves them; files on disk.
"""

from __future__ import annotations

import gc
import tempfile
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

from benchmarks.outcome import run_benchmark
from rune_common.adapters.ed25519 import Ed25519Signer, ed25519_verify
from rune_common.adapters.scratch_files import ScratchFiles
from rune_common.domain.chain import genesis
from rune_common.domain.events import EventDraft, EventUsage, append_event
from rune_common.domain.evidence.bundle import build_bundle
from rune_common.domain.evidence.report import TrustedKeys
from rune_common.domain.evidence.verify import verify_bundle
from rune_common.domain.redaction import Redactor
from rune_common.domain.runs import LogHead

EVENTS, FEW = 100_000, 10_000
QUICK_EVENTS, QUICK_FEW = 2_000, 500
TENANT, RUN = "default", "0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f"
TEXT = "2026-01-01T00:00:00Z web-7c9f pulling image, layer %d of many, password=hunter22\n"
AIMS = {"build_seconds": "<= 20", "verify_seconds": "<= 20", "peak_mib": "<= 64"}


def drafts(count: int) -> Iterator[EventDraft]:
    """A run's events: mostly output, now and then a tool, at the end its end."""
    yield EventDraft(
        "run_queued", {"summary": "accepted", "request": {"kind": "command", "question": "why?"}}
    )
    yield EventDraft("run_started", {"summary": "started"})
    offset = 0
    for number in range(count - 3):
        if number % 10 == 9:
            usage = EventUsage(100, 20, 1, 1, cost_micro_usd=12, model="m")
            call = {
                "call_id": str(number),
                "tool_name": "bash",
                "badge": "RUN",
                "args": {"command": "kubectl get"},
            }
            yield EventDraft("tool_call", call, usage=usage)
            continue
        data = TEXT % number * 6
        place = {"terminal_seq": number + 1, "stream": "stdout", "step_id": "main", "offset": offset}
        yield EventDraft("terminal_output", {**place, "encoding": "utf8", "data": data, "bytes": len(data)})
        offset += len(data)
    yield EventDraft("run_completed", {"status": "completed", "exit_reason": "completed"})


def store(path: Path, count: int) -> None:
    """Write a log of so many events, one line each."""
    head, redactor = LogHead(TENANT, RUN, 0, genesis(TENANT, RUN)), Redactor()
    with path.open("wb") as file:
        for draft in drafts(count):
            event, head = append_event(head, draft, now_ms=1_767_225_600_000, redactor=redactor)
            file.write(event.body + b"\n")


def lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            yield line[:-1]


def build(log: Path, bundle: Path) -> None:
    signer = Ed25519Signer("rune.local", bytes(32))
    with bundle.open("wb") as out, ScratchFiles() as scratch:
        build_bundle(TENANT, RUN, lines(log), lambda _: None, signer, out=out, scratch=scratch)


def check(bundle: Path) -> None:
    trusted = TrustedKeys(ed25519_verify, (Ed25519Signer("rune.local", bytes(32)).key,))
    with bundle.open("rb") as file, ScratchFiles() as scratch:
        report = verify_bundle(cast(BinaryIO, file), trusted, scratch=scratch)
    assert report.ok, report.mismatches


def peak_bytes(log: Path, bundle: Path) -> int:
    """The most that building and checking hold at once."""
    gc.collect()
    tracemalloc.start()
    build(log, bundle)
    check(bundle)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def measure(quick: bool) -> Mapping[str, float]:
    many, few = (QUICK_EVENTS, QUICK_FEW) if quick else (EVENTS, FEW)
    with tempfile.TemporaryDirectory(prefix="rune-bench-") as folder:
        log, short, bundle = (Path(folder) / name for name in ("log", "short", "bundle.zip"))
        store(log, many)
        store(short, few)
        started = time.perf_counter()
        build(log, bundle)
        built = time.perf_counter()
        check(bundle)
        checked = time.perf_counter()
        size = bundle.stat().st_size
        low, high = peak_bytes(short, bundle), peak_bytes(log, bundle)
    return {
        "events": many,
        "bundle_mib": size / 2**20,
        "build_seconds": built - started,
        "verify_seconds": checked - built,
        "peak_mib": high / 2**20,
        "memory_growth": high / low,
    }


if __name__ == "__main__":
    raise SystemExit(run_benchmark("evidence_bundle", AIMS, measure))
