"""Turns for the writers of one run in one process, so that they do not refuse each other (runs-api.md 13)."""

from __future__ import annotations

import threading
import zlib

STRIPES = 256


class RunLocks:
    """A lock for each run; runs share a fixed number of them.

    Nothing rests on them: a log is kept whole by the conditions of its transactions. They only spare writers in
    one process the repetitions that those conditions would cost.
    """

    def __init__(self) -> None:
        self._locks = tuple(threading.Lock() for _ in range(STRIPES))

    def of(self, tenant: str, run_id: str) -> threading.Lock:
        return self._locks[zlib.crc32(f"{tenant}#{run_id}".encode()) % STRIPES]
