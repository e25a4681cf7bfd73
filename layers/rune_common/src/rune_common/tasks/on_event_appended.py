from __future__ import annotations

from collections.abc import Sequence

from rune_common.usecases.count_events import Appended, count_events
from rune_common.wiring import Services


def consume(appended: Sequence[Appended], services: Services) -> None:
    """Count the events of a batch."""
    count_events(appended, metrics=services.metrics, runs=services.runs)
