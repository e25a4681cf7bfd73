"""Settings of tenants in this process."""

from __future__ import annotations

import threading
from dataclasses import replace

from rune_common.domain.errors import SettingsChanged
from rune_common.domain.tenant_settings import TenantSettings


class MemorySettingsStore:
    """Every write is atomic and every read is consistent."""

    def __init__(self) -> None:
        self._stored: dict[str, TenantSettings] = {}
        self._lock = threading.Lock()

    def read(self, tenant: str) -> TenantSettings:
        return self._stored.get(tenant, TenantSettings())

    def write(self, tenant: str, settings: TenantSettings) -> TenantSettings:
        """Raises SettingsChanged when somebody else wrote first."""
        with self._lock:
            if self.read(tenant).version != settings.version:
                raise SettingsChanged(tenant)
            written = replace(settings, version=settings.version + 1)
            self._stored[tenant] = written
        return written
