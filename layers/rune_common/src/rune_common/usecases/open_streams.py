"""How many streams each caller has open in this process (runs-api.md 15)."""

from __future__ import annotations

from collections import Counter

from rune_common.domain.access import Principal
from rune_common.domain.run_errors import TooManyStreams


class OpenStreams:
    """Belongs to one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[tuple[str, str]] = Counter()

    def take(self, caller: Principal) -> None:
        """Raises TooManyStreams. Whoever takes a place gives it back with `release`."""
        key = (caller.tenant, caller.subject)
        if self._open[key] >= self._most:
            raise TooManyStreams
        self._open[key] += 1

    def release(self, caller: Principal) -> None:
        key = (caller.tenant, caller.subject)
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]
