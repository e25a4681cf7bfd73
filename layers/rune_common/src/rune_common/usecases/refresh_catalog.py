"""Look again at the model servers whose models catalogs show (runs-api.md 10); the schedule's part of it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Protocol

from rune_common.domain.errors import RuneError

logger = logging.getLogger("rune.models")


class WatchedBackends(Protocol):
    """Model servers with a snapshot of what they have. Raises Unavailable."""

    def watched(self) -> Iterable[str]: ...
    def renew(self, backend_url: str) -> None: ...


def refresh_catalog(*, backends: WatchedBackends) -> int:
    """How many snapshots were renewed. One that could not be stored does not keep the others from it."""
    renewed = 0
    for backend_url in list(backends.watched()):
        try:
            backends.renew(backend_url)
        except RuneError:
            logger.exception("a snapshot of a model server could not be renewed")
        else:
            renewed += 1
    return renewed
