"""The clock every simulator delay follows (holmes-driver.md 6)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

POLL_SECONDS = 0.05


class Clock:
    """Wall time that can be pushed forward, or a manual clock that only moves when told to.

    `time()` is in epoch seconds. `advance` wakes every sleeper whose moment has come, on the real clock too,
    so a trial can skip an hour. Safe to share between simulators and threads.
    """

    def __init__(self, *, manual: bool = False, start: float | None = None) -> None:
        self.manual = manual
        self._origin = time.time() if start is None else start
        self._started = time.monotonic()
        self._advanced = 0.0
        self._moved = threading.Condition()

    def time(self) -> float:
        """Now, in epoch seconds."""
        running = 0.0 if self.manual else time.monotonic() - self._started
        return self._origin + running + self._advanced

    def advance(self, seconds: float) -> None:
        """Move the clock forward; ValueError for a negative step, since time never runs back."""
        if seconds < 0:
            raise ValueError("a clock cannot be moved back")
        with self._moved:
            self._advanced += seconds
            self._moved.notify_all()

    def sleep(self, seconds: float, *, stop: Callable[[], bool] = lambda: False) -> bool:
        """Block for that many clock seconds (`float("inf")` for ever); False when `stop` ended it early."""
        until = self.time() + seconds
        with self._moved:
            while (left := until - self.time()) > 0:
                if stop():
                    return False
                self._moved.wait(POLL_SECONDS if self.manual else min(left, POLL_SECONDS))
        return True
