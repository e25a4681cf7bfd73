"""How many runs of a tenant have not ended, without reading any of them."""

from __future__ import annotations

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_client import TableClient
from rune_common.domain.kpi_row_of import UNCOUNTED
from rune_common.domain.runs import TERMINAL, RunState

PAGE = 100
"""A tenant has at most so many unfinished runs (jobs-api.md 2), unless the operator allows more."""


class DynamoOpenRuns:
    """The counter that limits a tenant's unfinished runs, less those of kinds that are not counted."""

    def __init__(self, table: str, client: TableClient) -> None:
        self._table = table
        self._client = client

    def open_runs(self, tenant: str) -> int:
        item = self._client.get(self._table, keys.counts_key(tenant))
        active = int((item or {}).get("active", 0))
        return max(0, active - self._uncounted(tenant)) if active else 0

    def _uncounted(self, tenant: str) -> int:
        partitions = [
            keys.kind_state_partition(tenant, kind, state)
            for kind in UNCOUNTED
            for state in RunState
            if state not in TERMINAL
        ]
        return sum(1 for each in partitions for _ in self._entries(each))

    def _entries(self, partition: str) -> list[object]:
        values = {":of": partition, ":low": keys.LOWEST_ID, ":high": keys.HIGHEST_ID}
        return list(
            self._client.query(
                self._table, keys.KIND_STATE_RANGE, values, page=PAGE, index=keys.BY_KIND_STATE
            )
        )
