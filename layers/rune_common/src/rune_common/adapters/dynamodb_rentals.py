"""What runs have rented, as part of their head items, and whose run an instance is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_client import Item, TableClient
from rune_common.domain.rentals import Rental, RentalState

_KEPT_SECONDS = 90 * 86_400
"""How much longer than its expiry a note is kept: an instance that should be gone may still be found."""


class DynamoRentedRuns:
    """One item per run that has rented something."""

    def __init__(self, table: str, client: TableClient) -> None:
        self._table, self._client = table, client

    def note(self, run_id: str, tenant: str, *, expires_at: int) -> None:
        item = {**keys.rented_key(run_id), "tenant": tenant, "ttl": expires_at + _KEPT_SECONDS}
        self._client.put(self._table, item)

    def tenant_of(self, run_id: str) -> str | None:
        item = self._client.get(self._table, keys.rented_key(run_id))
        return None if item is None else str(item["tenant"])


def rental_map(rental: Rental) -> Item:
    """A field that holds its default takes up no room."""
    found = asdict(rental)
    defaults = {each.name: each.default for each in fields(Rental)}
    return {name: _plain(value) for name, value in found.items() if value != defaults[name]}


def rental_from(found: Mapping[str, Any]) -> Rental:
    read: dict[str, Any] = {
        name: value if isinstance(value, (bool, str)) else int(value) for name, value in found.items()
    }
    read["state"] = RentalState(read.get("state", RentalState.CREATING))
    return Rental(**read)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, RentalState) else value
