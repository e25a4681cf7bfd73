"""Whose run an instance is for, in this process."""

from __future__ import annotations


class MemoryRentedRuns:
    def __init__(self) -> None:
        self._tenants: dict[str, str] = {}

    def note(self, run_id: str, tenant: str, *, expires_at: int) -> None:
        self._tenants[run_id] = tenant

    def tenant_of(self, run_id: str) -> str | None:
        return self._tenants.get(run_id)
