"""Counters in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from rune_common.domain.job_events import JobEvent
from rune_common.domain.metrics import Counters, counted, day_of, merged


class MemoryMetricsStore:
    def __init__(self) -> None:
        self._days: dict[tuple[str, str], Counters] = {}
        self._runs: dict[tuple[str, str], tuple[int, Counters]] = {}
        self._lock = threading.Lock()

    def add(self, tenant: str, run_id: str, events: Iterable[JobEvent]) -> None:
        """Count each event once, however often it is given."""
        with self._lock:
            through, known = self._runs.get((tenant, run_id), (0, {}))
            for event in events:
                if event.seq <= through:
                    continue
                through, one = event.seq, counted([event], run_id)
                known = merged([known, one])
                day = (tenant, day_of(event))
                self._days[day] = merged([self._days.get(day, {}), one])
            self._runs[tenant, run_id] = (through, known)

    def of_days(self, tenant: str, *, first: str, last: str) -> Counters:
        with self._lock:
            days = [
                counters
                for (owner, day), counters in sorted(self._days.items())
                if owner == tenant and first <= day <= last
            ]
        return merged(days)

    def of_run(self, tenant: str, run_id: str) -> Counters:
        return self._runs.get((tenant, run_id), (0, {}))[1]
