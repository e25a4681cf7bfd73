"""Spares the lockout a read per request: who was not locked out a moment ago is not looked up again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rune_common.domain.access import FailureWindow, locked_out

MAX_AGE_SECONDS = 1.0
MAX_ADDRESSES = 10_000


class CachedFailureWindow:
    """A FailureWindow over another. Other processes' failures show after at most a second, own ones at once.

    Only counts below the lockout's threshold are remembered, so that a lockout ends when the window says so.
    `monotonic` gives seconds that never go back.
    """

    def __init__(self, window: FailureWindow, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._window = window
        self._monotonic = monotonic
        self._seen: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def recent(self, ip: str, *, since_ms: int) -> int:
        now = self._monotonic()
        with self._lock:
            known = self._seen.get(ip)
        if known is not None and now - known[0] < MAX_AGE_SECONDS:
            return known[1]
        count = self._window.recent(ip, since_ms=since_ms)
        if not locked_out(count):
            with self._lock:
                if len(self._seen) >= MAX_ADDRESSES:
                    self._seen.clear()
                self._seen[ip] = (now, count)
        return count

    def record(self, ip: str, *, now_ms: int) -> None:
        self._window.record(ip, now_ms=now_ms)
        with self._lock:
            self._seen.pop(ip, None)
