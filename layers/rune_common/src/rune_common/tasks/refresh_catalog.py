from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rune_common.usecases.refresh_catalog import refresh_catalog
from rune_common.wiring import Services


def task(event: Mapping[str, Any], services: Services) -> dict[str, Any]:
    """Called by the schedule; `{renewed}` is how many model servers' snapshots are new."""
    return {"renewed": refresh_catalog(backends=services.watched_backends)}
