"""Tokens and failed authentications in the identity table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_client import ConditionFailed, Item, TableClient
from rune_common.domain.access import LOCKOUT_FAILURES, LOCKOUT_WINDOW_MS, TokenRecord


class DynamoTokenStore:
    """Token records by hash; `add` replaces a record of the same hash. Reads are strongly consistent."""

    def __init__(self, table: str, client: TableClient) -> None:
        self._table = table
        self._client = client

    def find(self, token_hash: str) -> TokenRecord | None:
        item = self._client.get(self._table, keys.token_key(token_hash))
        return None if item is None else _record_from(token_hash, item)

    def add(self, record: TokenRecord) -> None:
        self._client.put(self._table, _record_item(record))

    def revoke(self, token_hash: str) -> bool:
        """Whether there is such a token; revoking it twice is no error."""
        place = keys.token_key(token_hash)
        change = "SET revoked = :revoked"
        try:
            self._client.update(self._table, place, change, {":revoked": True}, condition=keys.PRESENT)
        except ConditionFailed:
            return False
        return True


class DynamoFailureWindow:
    """The last ten failures of each address, which is all that the lockout asks for (jobs-api.md 2).

    They are ten attributes of one item, `failed_0` the newest. One update shifts them all: every right-hand
    side reads the item as it was, so no failure is lost between concurrent writers.
    """

    def __init__(self, table: str, client: TableClient) -> None:
        self._table = table
        self._client = client

    def recent(self, ip: str, *, since_ms: int) -> int:
        item = self._client.get(self._table, keys.failures_key(ip)) or {}
        return sum(1 for slot in SLOTS if int(item.get(slot, 0)) > since_ms)

    def record(self, ip: str, *, now_ms: int) -> None:
        gone_at = -(-(now_ms + LOCKOUT_WINDOW_MS) // 1000)
        values = {":now": now_ms, ":never": 0, ":gone": gone_at}
        self._client.update(self._table, keys.failures_key(ip), SHIFT, values, names={"#ttl": "ttl"})


SLOTS = [f"failed_{place}" for place in range(LOCKOUT_FAILURES)]
SHIFT = "SET #ttl = :gone, failed_0 = :now, " + ", ".join(
    f"{older} = if_not_exists({newer}, :never)" for newer, older in zip(SLOTS, SLOTS[1:], strict=False)
)


def _record_item(record: TokenRecord) -> Item:
    item: Item = {
        **keys.token_key(record.token_hash),
        "subject": record.subject,
        "kind": record.kind,
        "tenants": list(record.tenants),
        "scopes": list(record.scopes),
        "revoked": record.revoked,
    }
    if record.expires_at is not None:
        item |= {"expires_at": record.expires_at, "ttl": -(-record.expires_at // 1000)}
    return item


def _record_from(token_hash: str, item: Mapping[str, Any]) -> TokenRecord:
    expires_at = item.get("expires_at")
    return TokenRecord(
        token_hash=token_hash,
        subject=item["subject"],
        kind=item["kind"],
        tenants=tuple(item["tenants"]),
        scopes=tuple(item["scopes"]),
        expires_at=None if expires_at is None else int(expires_at),
        revoked=item["revoked"],
    )
