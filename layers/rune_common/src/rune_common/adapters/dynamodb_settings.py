"""Settings of tenants in the runs table: one item per tenant, changed on the condition of its version."""

from __future__ import annotations

import secrets
from dataclasses import replace

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_client import ConditionFailed, TableClient
from rune_common.domain.errors import SettingsChanged
from rune_common.domain.tenant_settings import TenantSettings, as_json, from_json

CHANGE = "SET revision = :next, write_id = :write, document = :document"


class DynamoSettingsStore:
    """The item carries the random id of the write that stored it.

    So a write whose answer was lost, and which then meets its own result, is known to have succeeded.
    """

    def __init__(self, table: str, client: TableClient) -> None:
        self._table = table
        self._client = client

    def read(self, tenant: str) -> TenantSettings:
        item = self._client.get(self._table, keys.settings_key(tenant))
        return TenantSettings() if item is None else from_json(item["document"], int(item["revision"]))

    def write(self, tenant: str, settings: TenantSettings) -> TenantSettings:
        """Raises SettingsChanged when somebody else wrote first."""
        written = replace(settings, version=settings.version + 1)
        write_id = secrets.token_urlsafe(9)
        values = {":next": written.version, ":write": write_id, ":document": as_json(written)}
        unchanged = "revision = :before" if settings.version else keys.ABSENT
        if settings.version:
            values[":before"] = settings.version
        place = keys.settings_key(tenant)
        try:
            self._client.update(self._table, place, CHANGE, values, condition=unchanged)
        except ConditionFailed as exc:
            if exc.item is None or exc.item.get("write_id") != write_id:
                raise SettingsChanged(tenant) from exc
        return written
