"""A batch of a table's stream: each record once more until it succeeds, the others unharmed (design.md 6)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rune_common.adapters.dynamodb_stream import RunMoved, event_appended, run_moved
from rune_common.usecases.count_events import Appended
from rune_common.wiring import Services

Consume = Callable[[RunMoved, Services], None]
ConsumeEvents = Callable[[Sequence[Appended], Services], None]

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


def consume_events(event: Mapping[str, Any], consume: Callable[[Sequence[Appended]], None]) -> dict[str, Any]:
    """A batch of new events at once; if it fails, all of it is delivered again, which has to be harmless."""
    records = event.get("Records", ())
    try:
        appended = [found for record in records if (found := event_appended(record)) is not None]
        if appended:
            consume(appended)
    except Exception:
        logger.exception("a batch of events could not be handled")
        return {"batchItemFailures": [{"itemIdentifier": records[0]["dynamodb"]["SequenceNumber"]}]}
    return {"batchItemFailures": []}
