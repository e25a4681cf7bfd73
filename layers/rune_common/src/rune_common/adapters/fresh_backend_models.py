"""What model servers have, asked for at most once a minute and kept in this process (runs-api.md 10)."""

from __future__ import annotations

import threading

from rune_common.domain.models_offered import BackendModels
from rune_common.domain.ports import Clock, ModelServers
from rune_common.usecases.look_at_backend import look_at_backend

FRESH_MS = 60_000
MOST_KEPT = 200


class FreshBackendModels:
    """Callers that come while a server is being asked wait for the same answer."""

    def __init__(self, servers: ModelServers, clock: Clock) -> None:
        self._servers = servers
        self._clock = clock
        self._kept: dict[str, tuple[int, BackendModels]] = {}
        self._lock = threading.Lock()

    def of(self, backend_url: str) -> BackendModels:
        with self._lock:
            asked_at, found = self._kept.get(backend_url, (None, None))
            if found is None or asked_at is None or self._clock() - asked_at >= FRESH_MS:
                found = look_at_backend(backend_url, servers=self._servers)
                while len(self._kept) >= MOST_KEPT:
                    del self._kept[next(iter(self._kept))]
                self._kept[backend_url] = (self._clock(), found)
            return found
