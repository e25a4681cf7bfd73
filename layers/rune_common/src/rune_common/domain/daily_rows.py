"""Small rows that are kept packed by tenant and day, so that a report costs O(days) (runs-api.md 8, 13)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol


def day_of(epoch_ms: int) -> str:
    """The UTC day of a moment, `yyyy-mm-dd`."""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).date().isoformat()


class DailyRows(Protocol):
    """Rows of several series, each of one tenant and day. `key` names a row within its tenant and series."""

    def add(self, tenant: str, series: str, day: str, key: str, text: str) -> None:
        """Keep a row. Repeating it does nothing; a row that is there is never changed. Raises Unavailable."""
        ...

    def between(self, tenant: str, series: str, first_day: str, last_day: str) -> Iterator[tuple[str, str]]:
        """Key and text of the rows of these days, both included, each key once, in no order.

        May miss what was added in the last second.
        """
        ...


class OpenRuns(Protocol):
    def open_runs(self, tenant: str) -> int:
        """How many runs of a tenant have not ended, of the kinds that the KPI counts. Raises Unavailable."""
        ...
