"""Spending in the runs table: one item per tenant and day, with the open reservations inside it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_client import ConditionFailed, Item, Key, TableClient
from rune_common.adapters.dynamodb_items import ttl_after
from rune_common.domain.errors import SpendLimitExceeded, Unavailable

ATTEMPTS = 20
_NAMES = {"#total": "total", "#held": "held"}


class DynamoSpendLedger:
    """`total` is what was settled plus what is held; each change is one update under a condition on both.

    An update that was stored although its answer was lost meets its own result and counts as done.
    """

    def __init__(self, table: str, client: TableClient, *, retention_days: int) -> None:
        self._table = table
        self._client = client
        self._retention_days = retention_days

    def reserve(self, tenant: str, job_id: str, amount_micro_usd: int, day: str, limit: int) -> None:
        """Raises SpendLimitExceeded; then nothing has changed."""
        place = keys.spend_key(tenant, day)
        item = self._client.get(self._table, place)
        for _ in range(ATTEMPTS):
            held = _held(item, job_id)
            if held == amount_micro_usd:
                return
            more = amount_micro_usd - (held or 0)
            if _total(item) + more > limit:
                raise SpendLimitExceeded
            try:
                if item is None:
                    self._open(place, job_id, amount_micro_usd, day)
                else:
                    self._hold(place, job_id, amount_micro_usd, held, room=limit - more)
            except ConditionFailed as exc:
                item = exc.item
            else:
                return
        raise Unavailable("a day's spending changed again and again")

    def settle(self, tenant: str, job_id: str, actual_micro_usd: int, day: str) -> None:
        place = keys.spend_key(tenant, day)
        item = self._client.get(self._table, place)
        for _ in range(ATTEMPTS):
            held = _held(item, job_id)
            if held is None:
                return
            try:
                self._client.update(
                    self._table,
                    place,
                    "SET #total = #total + :more REMOVE #held.#job",
                    {":more": actual_micro_usd - held, ":before": held},
                    condition="#held.#job = :before",
                    names={**_NAMES, "#job": job_id},
                )
            except ConditionFailed as exc:
                item = exc.item
            else:
                return
        raise Unavailable("a day's spending changed again and again")

    def spent(self, tenant: str, day: str) -> int:
        return _total(self._client.get(self._table, keys.spend_key(tenant, day)))

    def _open(self, place: Key, job_id: str, amount: int, day: str) -> None:
        self._client.update(
            self._table,
            place,
            "SET #total = :amount, #held = :first, #ttl = :gone",
            {
                ":amount": amount,
                ":first": {job_id: amount},
                ":gone": ttl_after(_noon(day), self._retention_days + 1),
            },
            condition=keys.ABSENT,
            names={**_NAMES, "#ttl": "ttl"},
        )

    def _hold(self, place: Key, job_id: str, amount: int, held: int | None, *, room: int) -> None:
        """`room` is the total up to which this reservation still fits."""
        same, before = ("attribute_not_exists(#held.#job)", {}) if held is None else _as_before(held)
        self._client.update(
            self._table,
            place,
            "SET #held.#job = :amount, #total = #total + :more",
            {":amount": amount, ":more": amount - (held or 0), ":room": room, **before},
            condition=f"{same} AND #total <= :room",
            names={**_NAMES, "#job": job_id},
        )


def _as_before(held: int) -> tuple[str, dict[str, int]]:
    return "#held.#job = :before", {":before": held}


def _total(item: Item | None) -> int:
    return int((item or {}).get("total", 0))


def _held(item: Item | None, job_id: str) -> int | None:
    reservations: Mapping[str, Any] = (item or {}).get("held", {})
    return int(reservations[job_id]) if job_id in reservations else None


def _noon(day: str) -> int:
    return int(datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=UTC).timestamp() * 1000)
