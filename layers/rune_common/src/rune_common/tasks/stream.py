"""A batch of a table's stream: each record once more until it succeeds, the others unharmed (design.md 6)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from rune_common.adapters.dynamodb_stream import RunMoved, run_moved
from rune_common.wiring import Services

Consume = Callable[[RunMoved, Services], None]

logger = logging.getLogger("rune.stream")


def consume_batch(event: Mapping[str, Any], consume: Callable[[RunMoved], None]) -> dict[str, Any]:
    """Lambda's partial batch response: `{"batchItemFailures": [{"itemIdentifier": <sequence number>}]}`.

    Stops at the first failure, since Lambda starts again from the lowest number that failed.
    """
    for record in event.get("Records", ()):
        try:
            moved = run_moved(record)
            if moved is not None:
                consume(moved)
        except Exception:
            logger.exception("a stream record could not be handled")
            return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
    return {"batchItemFailures": []}
