"""CPU from nothing to the first answer of the submit function, against a bare FastAPI function.

A function that starts cold pays for the interpreter, its imports, its start and its first request. The
interpreter is the same for both and is left out. All kinds alternate in fresh processes, with compiled
bytecode as in the deployed layer; what counts is the median of each and their ratio.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.outcome import run_benchmark
from benchmarks.tables import REGION, deployed_tables
from rune.local.functions import ROOT

NAME = "cold_start"
AIMS = {"ratio_to_bare": "<= 0.7"}
KINDS = ("rune", "bare", "bare_with_call")
REPETITIONS, QUICK_REPETITIONS = 11, 2
CHILD_SECONDS = 60.0
TOKEN = "sample-token-of-at-least-32-characters"


def measure(quick: bool) -> dict[str, float]:
    """Milliseconds of CPU, and the ratios of the sums."""
    with (
        tempfile.TemporaryDirectory(prefix="rune-bench-") as folder,
        deployed_tables(Path(folder)) as endpoint,
    ):
        environment = _environment(Path(folder), endpoint)
        for kind in KINDS:
            _start(kind, environment)  # not counted: it writes the bytecode that the others load
        rounds = [
            {kind: _start(kind, environment) for kind in KINDS}
            for _ in range(QUICK_REPETITIONS if quick else REPETITIONS)
        ]
    total = {kind: statistics.median(sum(each[kind]) for each in rounds) for kind in KINDS}
    return {
        "ratio_to_bare": total["rune"] / total["bare"],
        "ratio_to_bare_with_call": total["rune"] / total["bare_with_call"],
        "rune_ms": total["rune"],
        "rune_import_ms": statistics.median(each["rune"][0] for each in rounds),
        "rune_first_request_ms": statistics.median(each["rune"][1] for each in rounds),
        "bare_ms": total["bare"],
        "bare_with_call_ms": total["bare_with_call"],
    }


def _environment(folder: Path, endpoint: str) -> dict[str, str]:
    """What a function sees, and nothing of this shell's; the bytecode goes into a folder of its own."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "PYTHONPATH": str(ROOT / "functions" / "submit_job"),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "RUNE_ENV": "bench",
        "RUNE_CURSOR_KEY": "0" * 32,
        "RUNE_RUNS_TABLE": "rune-runs",
        "RUNE_DATA_DIR": str(folder / "data"),
        "RUNE_API_TOKENS": f"default:{TOKEN}",
    }


def _start(kind: str, environment: Mapping[str, str]) -> tuple[float, float]:
    """CPU milliseconds of import and start, and of the first request."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("cold_start_child.py")), kind],
        input=(ROOT / "events" / "submit_job.json").read_text(),
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=CHILD_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"a cold start of {kind} failed: {done.stderr[-2000:]}")
    found = json.loads(done.stdout)
    if found["status"] != 202:
        raise RuntimeError(f"{kind} answered {found['status']}: {done.stderr[-2000:]}")
    return found["import_ms"], found["first_request_ms"]


if __name__ == "__main__":
    raise SystemExit(run_benchmark(NAME, AIMS, measure))
