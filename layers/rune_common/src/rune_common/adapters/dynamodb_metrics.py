"""Counters in the runs table: one packed row a day and tenant, one a run (docs/reference/tables.md)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from datetime import UTC, datetime
from typing import Any

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_client import Key, TableClient, TransactionRefused, Write
from rune_common.domain.errors import Unavailable
from rune_common.domain.job_events import JobEvent
from rune_common.domain.metrics import Counters, EventCounts, counted, day_of, merged

ATTEMPTS = 20
DAYS_KEPT = 91
DAY_SECONDS = 86_400


class DynamoMetricsStore:
    """A run's row holds the sequence up to which its events are counted, and changes together with the day's."""

    def __init__(self, table: str, client: TableClient, *, retention_days: int) -> None:
        self._table, self._client = table, client
        self._retention_days = retention_days

    def add(self, tenant: str, run_id: str, events: Iterable[JobEvent]) -> None:
        """Count each event once, however often it is given. Raises Unavailable."""
        given = list(events)
        for _ in range(ATTEMPTS):
            row = self._client.get(self._table, keys.run_metrics_key(tenant, run_id)) or {}
            fresh = [event for event in given if event.seq > int(row.get("through", 0))]
            if not fresh:
                return
            try:
                self._client.transact(self._table, self._writes(tenant, run_id, row, fresh))
            except TransactionRefused:
                continue
            return
        raise Unavailable("counters were changed by others again and again")

    def of_days(self, tenant: str, *, first: str, last: str) -> Counters:
        """Eventually consistent."""
        rows = self._client.query(
            self._table,
            keys.METRIC_DAYS,
            {
                ":of": keys.metrics_partition(tenant),
                ":low": keys.metrics_day_place(first),
                ":high": keys.metrics_day_place(last),
            },
            page=100,
        )
        return merged(map(_counters, rows))

    def of_run(self, tenant: str, run_id: str) -> Counters:
        return _counters(self._client.get(self._table, keys.run_metrics_key(tenant, run_id)) or {})

    def _writes(
        self, tenant: str, run_id: str, row: Mapping[str, Any], fresh: Sequence[JobEvent]
    ) -> list[Write]:
        newest = fresh[-1]
        kept_until = int(newest.recorded_at) + (self._retention_days + 1) * DAY_SECONDS
        writes = [
            _write(
                keys.run_metrics_key(tenant, run_id),
                row,
                merged([_counters(row), counted(fresh, run_id)]),
                through=newest.seq,
                ttl=kept_until,
            )
        ]
        for day in dict.fromkeys(map(day_of, fresh)):
            key = keys.metrics_day_key(tenant, day)
            before = self._client.get(self._table, key) or {}
            added = counted([event for event in fresh if day_of(event) == day], run_id)
            writes.append(_write(key, before, merged([_counters(before), added]), ttl=_day_ttl(day)))
        return writes


def _write(key: Key, before: Mapping[str, Any], counters: Counters, **more: int) -> Write:
    """The row anew, if it is still the one that was read."""
    packed = json.dumps({name: astuple(each) for name, each in counters.items()}, separators=(",", ":"))
    revision = int(before.get("revision", 0))
    return Write(
        "put",
        item={**key, "revision": revision + 1, "counters": packed, **more},
        condition="revision = :revision" if revision else keys.ABSENT,
        values={":revision": revision} if revision else {},
    )


def _counters(row: Mapping[str, Any]) -> Counters:
    packed = json.loads(row["counters"]) if row else {}
    return {name: EventCounts(*values) for name, values in packed.items()}


def _day_ttl(day: str) -> int:
    began = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC)
    return int(began.timestamp()) + (DAYS_KEPT + 1) * DAY_SECONDS
