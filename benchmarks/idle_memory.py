"""Memory of the local server after its start and one request, with its worker and database, without an agent."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.local_server import local_server
from benchmarks.outcome import run_benchmark

NAME = "idle_memory"
AIMS = {"resident_mb": "<= 150"}
SETTLE_SECONDS, QUICK_SETTLE_SECONDS = 4.0, 0.5


def measure(quick: bool) -> dict[str, float]:
    """Megabytes, in all and by process."""
    with (
        tempfile.TemporaryDirectory(prefix="rune-bench-") as folder,
        local_server(Path(folder) / "data", {}) as server,
    ):
        # The worker starts beside the server and may still be loading when the first request is answered.
        time.sleep(QUICK_SETTLE_SECONDS if quick else SETTLE_SECONDS)
        server.await_health()
        used = server.memory()
    return {
        "resident_mb": sum(each.resident for each in used.values()),
        "proportional_mb": sum(each.proportional for each in used.values()),
        **{f"{role}_resident_mb": each.resident for role, each in used.items()},
    }


if __name__ == "__main__":
    raise SystemExit(run_benchmark(NAME, AIMS, measure))
