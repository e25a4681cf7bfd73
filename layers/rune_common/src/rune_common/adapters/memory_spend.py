"""Spending in this process: the ledger's contract in its plainest form."""

from __future__ import annotations

import threading

from rune_common.domain.errors import SpendLimitExceeded


class MemorySpendLedger:
    """Totals and open reservations, by tenant and day, under one lock."""

    def __init__(self) -> None:
        self._totals: dict[tuple[str, str], int] = {}
        self._held: dict[tuple[str, str, str], int] = {}
        self._lock = threading.Lock()

    def reserve(self, tenant: str, job_id: str, amount_micro_usd: int, day: str, limit: int) -> None:
        """Raises SpendLimitExceeded; then nothing has changed."""
        place = (tenant, day, job_id)
        with self._lock:
            held = self._held.get(place)
            if held == amount_micro_usd:
                return
            total = self._totals.get((tenant, day), 0) + amount_micro_usd - (held or 0)
            if total > limit:
                raise SpendLimitExceeded
            self._totals[tenant, day] = total
            self._held[place] = amount_micro_usd

    def settle(self, tenant: str, job_id: str, actual_micro_usd: int, day: str) -> None:
        with self._lock:
            held = self._held.pop((tenant, day, job_id), None)
            if held is not None:
                self._totals[tenant, day] += actual_micro_usd - held

    def spent(self, tenant: str, day: str) -> int:
        with self._lock:
            return self._totals.get((tenant, day), 0)
