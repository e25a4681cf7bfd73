"""Daily rows in the runs table: per tenant, series and day a few items, each with rows of about 3 KiB in all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_client import ConditionFailed, Item, Key, TableClient
from rune_common.domain.errors import Unavailable

FULL_BYTES = 3 * 1024
"""An item with so much in it takes no further row: so adding one never costs more than an item of 4 KiB."""

PAGE = 200
ATTEMPTS = 20
KEPT_DAYS = 800
"""Longer than the two longest windows together, and long after the run itself is gone."""

_OPEN = "SET packed = :rows, taken = :size, #ttl = :ttl"
_EXTEND = "SET packed.#key = :text, taken = taken + :size"
_ROOM = "attribute_not_exists(packed.#key) AND taken < :full"


class DynamoDailyRows:
    """The map `packed` holds the rows by their keys, `taken` counts their characters.

    Rows enter the newest item of their day until it is full. A row that is added again after its item was full
    may be stored a second time; `between` gives each key once.
    """

    def __init__(self, table: str, client: TableClient) -> None:
        self._table = table
        self._client = client

    def add(self, tenant: str, series: str, day: str, key: str, text: str) -> None:
        for _ in range(ATTEMPTS):
            newest = self._newest(tenant, series, day)
            if newest is not None and key in newest["packed"]:
                return
            try:
                if newest is None or newest["taken"] >= FULL_BYTES:
                    part = 0 if newest is None else keys.daily_part(newest["sk"]) + 1
                    self._open(keys.daily_key(tenant, series, day, part), day, key, text)
                else:
                    self._extend({name: newest[name] for name in ("pk", "sk")}, key, text)
            except ConditionFailed:
                continue  # somebody else filled or opened it; or this very row is there already
            return
        raise Unavailable("a day's rows changed again and again")

    def between(self, tenant: str, series: str, first_day: str, last_day: str) -> Iterator[tuple[str, str]]:
        low, high = keys.daily_range(series, first_day, last_day)
        values = {":of": keys.tenant_partition(tenant), ":low": low, ":high": high}
        given: set[str] = set()
        for item in self._client.query(self._table, keys.DAILY, values, page=PAGE):
            for key, text in item["packed"].items():
                if key not in given:
                    given.add(key)
                    yield key, text

    def _newest(self, tenant: str, series: str, day: str) -> Item | None:
        low, high = keys.daily_range(series, day, day)
        values = {":of": keys.tenant_partition(tenant), ":low": low, ":high": high}
        found = self._client.query(self._table, keys.DAILY, values, page=1, forward=False, consistent=True)
        return next(found, None)

    def _open(self, place: Key, day: str, key: str, text: str) -> None:
        start = datetime.fromisoformat(day).replace(tzinfo=UTC)
        values = {
            ":rows": {key: text},
            ":size": len(key) + len(text),
            ":ttl": int(start.timestamp()) + KEPT_DAYS * 86_400,
        }
        self._client.update(self._table, place, _OPEN, values, condition=keys.ABSENT, names={"#ttl": "ttl"})

    def _extend(self, place: Key, key: str, text: str) -> None:
        values = {":text": text, ":size": len(key) + len(text), ":full": FULL_BYTES}
        self._client.update(self._table, place, _EXTEND, values, condition=_ROOM, names={"#key": key})
