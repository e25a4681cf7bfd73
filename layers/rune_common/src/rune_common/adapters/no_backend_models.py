"""Model servers where nobody looks at any."""

from __future__ import annotations

from rune_common.domain.models_offered import BackendModels


class NoBackendModels:
    def of(self, backend_url: str) -> BackendModels:
        return BackendModels(answered=False)

    def watched(self) -> tuple[str, ...]:
        return ()

    def renew(self, backend_url: str) -> None:
        return None
