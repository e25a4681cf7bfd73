"""Tokens, failed authentications and token buckets in this process."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import replace

from rune_common.domain.access import LOCKOUT_FAILURES, TokenRecord

MAX_BUCKETS = 10_000


class MemoryTokenStore:
    """Token records by hash; `add` replaces a record of the same hash."""

    def __init__(self, *records: TokenRecord) -> None:
        self._records = {record.token_hash: record for record in records}

    def find(self, token_hash: str) -> TokenRecord | None:
        return self._records.get(token_hash)

    def add(self, record: TokenRecord) -> None:
        self._records[record.token_hash] = record

    def revoke(self, token_hash: str) -> bool:
        """Whether there is such a token; revoking it twice is no error."""
        record = self._records.get(token_hash)
        if record is None:
            return False
        self._records[token_hash] = replace(record, revoked=True)
        return True


class MemoryFailureWindow:
    """The last ten failures of each address, which is all that the lockout asks for (jobs-api.md 2)."""

    def __init__(self) -> None:
        self._failures: dict[str, deque[int]] = {}
        self._lock = threading.Lock()

    def recent(self, ip: str, *, since_ms: int) -> int:
        with self._lock:
            return sum(1 for at in self._failures.get(ip, ()) if at > since_ms)

    def record(self, ip: str, *, now_ms: int) -> None:
        with self._lock:
            self._failures.setdefault(ip, deque(maxlen=LOCKOUT_FAILURES)).append(now_ms)


class MemoryRateLimiter:
    """Token buckets of this process (jobs-api.md 2): each process allows the whole rate.

    At most `MAX_BUCKETS` keys are remembered; the one that was used longest ago is forgotten first, so that
    a flood of addresses costs no memory. `monotonic` gives seconds that never go back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str, *, burst: int, per_second: float) -> float:
        """0 when the call may go on, else the seconds until it may."""
        with self._lock:
            now = self._monotonic()
            level, seen = self._buckets.pop(key, (float(burst), now))
            level = min(float(burst), level + (now - seen) * per_second)
            admitted = level >= 1
            self._buckets[key] = (level - 1 if admitted else level, now)
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
            return 0.0 if admitted else (1 - level) / per_second
