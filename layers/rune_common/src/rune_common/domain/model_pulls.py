"""How a pull of a model goes on, from what the server says of it (jobs-api.md 5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rune_common.domain.errors import RuneError


class PullRefused(RuneError):
    """The server says that the model cannot be pulled."""

    code = "pull_refused"


@dataclass(frozen=True, slots=True)
class PullProgress:
    """`percent` of the bytes known so far; None before any are known."""

    percent: float | None
    done: bool = False


@dataclass(slots=True)
class PullTally:
    """Adds up a pull's layers. `bytes_done` grows only when something was received."""

    _totals: dict[str, int] = field(default_factory=dict)
    _completed: dict[str, int] = field(default_factory=dict)

    @property
    def bytes_done(self) -> int:
        return sum(self._completed.values())

    def read(self, line: Mapping[str, Any]) -> PullProgress:
        """Raises PullRefused for a line that tells an error."""
        if line.get("error"):
            raise PullRefused("the server could not pull the model")
        if line.get("status") == "success":
            return PullProgress(100.0, done=True)
        digest, total, completed = line.get("digest"), line.get("total"), line.get("completed")
        if isinstance(digest, str) and _bytes(total):
            self._totals[digest] = int(total or 0)
        if isinstance(digest, str) and digest in self._totals and _bytes(completed):
            self._completed[digest] = min(int(completed or 0), self._totals[digest])
        whole = sum(self._totals.values())
        return PullProgress(100 * self.bytes_done / whole if whole else None)


def _bytes(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
