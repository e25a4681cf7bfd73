"""Daily rows in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator


class MemoryDailyRows:
    """A row is kept under the day with which it was first added."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str, str], str] = {}
        self._lock = threading.Lock()

    def add(self, tenant: str, series: str, day: str, key: str, text: str) -> None:
        with self._lock:
            self._rows.setdefault((tenant, series, day, key), text)

    def between(self, tenant: str, series: str, first_day: str, last_day: str) -> Iterator[tuple[str, str]]:
        with self._lock:
            found = {
                key: text
                for (owner, name, day, key), text in self._rows.items()
                if (owner, name) == (tenant, series) and first_day <= day <= last_day
            }
        yield from found.items()
