"""The benchmarks run to their end and say what was found in the agreed form."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CHEAP = ("cold_start", "warm_handler", "idle_memory", "submit_read", "event_log")


@pytest.mark.parametrize("name", CHEAP)
def test_a_benchmark_ends_with_one_json_line(name: str) -> None:
    found = last_line(name)

    assert found["benchmark"] == name
    assert found["results"]
    assert all(value > 0 for metric, value in found["results"].items() if metric != "ended_per_s")
    assert found["aims"].keys() == found["met"].keys() <= found["results"].keys()


def last_line(name: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
