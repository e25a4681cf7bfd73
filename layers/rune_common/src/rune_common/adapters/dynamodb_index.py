"""Finding runs: lists, queues and what is overdue, by indexes that hold keys only."""

from __future__ import annotations

import builtins
import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_client import Item, TableClient
from rune_common.adapters.dynamodb_items import run_from
from rune_common.domain.ports import RunFilter, RunPage
from rune_common.domain.runs import Run, RunKind, RunState

CLOCK_SLACK_MS = 60_000
"""A run's id and its `created_at` come from two readings of the clock, so the id's bounds are laid wider."""

SMALLEST_PAGE = 25
HEADS_AT_ONCE = 100
MOST_LOOKED_AT = 400
"""Runs that one page of a search reads at most: 400 heads are 50 read units."""


class RunIndex:
    """Reads keys from an index and heads by their keys, as many as the page needs. Eventually consistent."""

    def __init__(self, table: str, client: TableClient) -> None:
        self._table = table
        self._client = client

    def list(self, tenant: str, where: RunFilter, *, limit: int, after: str | None = None) -> RunPage:
        """O(page), times the number of kinds and states that the filter names.

        What no index knows is searched for, in a bounded number of runs; then a page may be short before the end.
        """
        low, high = _bounds(where, after)
        pages = self._partitions(tenant, where, low, high, limit + 1)
        ordered = _distinct(heapq.merge(*pages, key=_run_id, reverse=where.order == "desc"), after)
        looked_at: builtins.list[Item] = []
        if where.searching:
            looked_at = builtins.list(islice(ordered, MOST_LOOKED_AT))
            ordered = iter(looked_at)
        found = builtins.list(islice(self._runs(ordered, limit + 1, where), limit + 1))
        page = tuple(found[:limit])
        if len(found) > limit:
            return RunPage(page, page[-1].run_id)
        cut_off = len(looked_at) == MOST_LOOKED_AT
        return RunPage(page, _run_id(looked_at[-1]) if cut_off else None)

    def waiting(self, tenant: str, *, limit: int) -> Sequence[Run]:
        where = RunFilter(states=(RunState.QUEUED,), order="asc")
        pages = self._partitions(tenant, where, keys.LOWEST_ID, keys.HIGHEST_ID, limit)
        queued = self._runs(_distinct(heapq.merge(*pages, key=_run_id), None), limit, where)
        return builtins.list(islice((run for run in queued if not run.holds_slot), limit))

    def due(self, *, now_ms: int, limit: int) -> Sequence[Run]:
        """Longest overdue first, up to two minutes late: the index knows times in such steps only."""
        found = builtins.list(islice(self._until(keys.due_place_at(now_ms), limit, now_ms), limit))
        return sorted(found, key=lambda run: run.due_at() or 0)

    def unfinished(self, owner: str, *, limit: int) -> Sequence[Run]:
        """Reads the heads of all unfinished runs: for the start of an engine, not for every minute."""
        every = self._until(keys.HIGHEST_ID, HEADS_AT_ONCE, None)
        return builtins.list(islice((run for run in every if run.owner == owner), limit))

    def _until(self, place: str, page: int, now_ms: int | None) -> Iterator[Run]:
        pages = [
            self._client.query(
                self._table, keys.DUE_UNTIL, {":of": shard, ":high": place}, page=page, index=keys.BY_DUE
            )
            for shard in keys.due_partitions()
        ]
        for run in self._runs(heapq.merge(*pages, key=lambda item: str(item["gsi3sk"])), page):
            due_at = run.due_at()
            if due_at is not None and (now_ms is None or due_at <= now_ms):
                yield run

    def _partitions(
        self, tenant: str, where: RunFilter, low: str, high: str, wanted: int
    ) -> Sequence[Iterator[Item]]:
        forward = where.order == "asc"
        if not where.kinds and not where.states:
            index, condition, partitions = keys.BY_TENANT, keys.TENANT_RANGE, [keys.tenant_partition(tenant)]
        else:
            index, condition = keys.BY_KIND_STATE, keys.KIND_STATE_RANGE
            partitions = [
                keys.kind_state_partition(tenant, kind, state)
                for kind in dict.fromkeys(where.kinds or RunKind)
                for state in dict.fromkeys(where.states or RunState)
            ]
        page = min(wanted, max(SMALLEST_PAGE, 2 * wanted // len(partitions)))
        return [
            self._client.query(
                self._table,
                condition,
                {":of": partition, ":low": low, ":high": high},
                page=page,
                index=index,
                forward=forward,
            )
            for partition in partitions
        ]

    def _runs(self, found: Iterator[Item], wanted: int, where: RunFilter | None = None) -> Iterator[Run]:
        """The heads of index items, in their order, without those that changed since they were indexed."""
        size = min(wanted, HEADS_AT_ONCE)
        while batch := builtins.list(islice(found, size)):
            places = {item["pk"]: {"pk": item["pk"], "sk": item["sk"]} for item in batch}
            heads = self._client.get_many(self._table, builtins.list(places.values()), consistent=False)
            runs = {head["pk"]: run_from(head) for head in heads}
            for place in places:
                run = runs.get(place)
                if run is not None and (where is None or where.takes(run)):
                    yield run


def _distinct(ordered: Iterable[Item], after: str | None) -> Iterator[Item]:
    """Each run once: while it changes its state, an index may show it in two places."""
    last = after
    for item in ordered:
        if (run_id := _run_id(item)) != last:
            last = run_id
            yield item


def _run_id(item: Item) -> str:
    return keys.run_of_partition(item["pk"])[1]


def _bounds(where: RunFilter, after: str | None) -> tuple[str, str]:
    """The lowest and the highest run id of a page, both inclusive."""
    low, high = keys.LOWEST_ID, keys.HIGHEST_ID
    if where.created_after is not None:
        low = keys.id_bound(where.created_after - CLOCK_SLACK_MS)
    if where.created_before is not None:
        high = keys.id_bound(where.created_before + CLOCK_SLACK_MS)
    if after is not None and where.order == "asc":
        low = max(low, after)
    elif after is not None:
        high = min(high, after)
    return low, max(low, high)
