"""What model servers have, asked for at most once a minute and kept in this process (runs-api.md 10)."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from rune_common.domain.model_servers import ModelServers
from rune_common.domain.models_offered import BackendModels
from rune_common.domain.ports import Clock
from rune_common.usecases.look_at_backend import look_at_backend

FRESH_MS = 60_000
MOST_KEPT = 200


@dataclass(slots=True)
class _Look:
    lock: threading.Lock = field(default_factory=threading.Lock)
    found: BackendModels | None = None
    at_ms: int = 0


class FreshBackendModels:
    """Callers that come while a server is being asked wait for the same answer; other servers are not held up."""

    def __init__(self, servers: ModelServers, clock: Clock) -> None:
        self._servers = servers
        self._clock = clock
        self._looks: dict[str, _Look] = {}
        self._lock = threading.Lock()

    def of(self, backend_url: str) -> BackendModels:
        look = self._look(backend_url)
        with look.lock:
            if look.found is None or self._clock() - look.at_ms >= FRESH_MS:
                look.found = look_at_backend(backend_url, servers=self._servers)
                look.at_ms = self._clock()
            return look.found

    def _look(self, backend_url: str) -> _Look:
        with self._lock:
            if backend_url not in self._looks and len(self._looks) >= MOST_KEPT:
                del self._looks[next(iter(self._looks))]
            return self._looks.setdefault(backend_url, _Look())
