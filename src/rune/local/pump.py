"""The table's stream, handed to the consumers as Lambda would: in order, until each record is done."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Consumer = Callable[[dict[str, Any], object], Mapping[str, Any]]

BUSY_SECONDS = 0.02
IDLE_SECONDS = 0.15
RETRY_SECONDS = 0.5
RECORDS = 100

logger = logging.getLogger("rune.local.pump")


class StreamPump:
    """Reads every shard of one table's stream from where it is now, and calls each consumer with each batch.

    A record that a consumer reports as failed is given to it again, with the ones after it, as a
    partial batch response asks for.
    """

    def __init__(self, table: str, client: Any, consumers: Sequence[Consumer]) -> None:
        self._table, self._client, self._consumers = table, client, consumers
        self._iterators: dict[str, str] = {}
        self._seen: set[str] = set()
        self._arn = ""

    def open(self) -> None:
        """Note where the stream is now; records from here on will be delivered."""
        streams = self._client.list_streams(TableName=self._table)["Streams"]
        self._arn = streams[0]["StreamArn"]
        self._find_shards("LATEST")

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set."""
        while not stop.is_set():
            try:
                busy = self.turn(stop)
            except Exception:
                logger.exception("the table's stream could not be read")
                busy = False
                stop.wait(RETRY_SECONDS)
            stop.wait(BUSY_SECONDS if busy else IDLE_SECONDS)

    def turn(self, stop: threading.Event) -> bool:
        """One look at every shard; True when there was something."""
        busy = False
        for shard, iterator in list(self._iterators.items()):
            answer = self._client.get_records(ShardIterator=iterator, Limit=RECORDS)
            records = answer["Records"]
            if records:
                busy = True
                self._deliver(records, stop)
            if answer.get("NextShardIterator"):
                self._iterators[shard] = answer["NextShardIterator"]
            else:
                del self._iterators[shard]
                self._find_shards("TRIM_HORIZON")
        return busy

    def _find_shards(self, start: str) -> None:
        shards = self._client.describe_stream(StreamArn=self._arn)["StreamDescription"]["Shards"]
        for shard in shards:
            name = shard["ShardId"]
            if name not in self._seen:
                self._seen.add(name)
                self._iterators[name] = self._client.get_shard_iterator(
                    StreamArn=self._arn, ShardId=name, ShardIteratorType=start
                )["ShardIterator"]

    def _deliver(self, records: Sequence[Mapping[str, Any]], stop: threading.Event) -> None:
        for consumer in self._consumers:
            left = list(records)
            while left and not stop.is_set():
                failures = consumer({"Records": left}, None)["batchItemFailures"]
                if not failures:
                    break
                first = failures[0]["itemIdentifier"]
                left = left[next(n for n, r in enumerate(left) if r["dynamodb"]["SequenceNumber"] == first) :]
                time.sleep(RETRY_SECONDS)
