"""The table's stream reaches the consumers as Lambda would bring it: in order, until each record is done."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import boto3
import pytest
from botocore.config import Config
from tests.integration.conftest import REGION, Tables
from tests.integration.run_samples import moved, stored

from rune.local.pump import StreamPump
from rune_common.adapters.dynamodb import DynamoRunStore
from rune_common.adapters.dynamodb_client import TableClient
from rune_common.adapters.dynamodb_stream import RunMoved, run_moved
from rune_common.adapters.memory import MemoryBlobStore, MemorySealer
from rune_common.domain.runs import RunState

Record = dict[str, Any]


def record(number: int) -> Record:
    return {"dynamodb": {"SequenceNumber": f"{number:05d}"}}


class Stream:
    """A stream of shards, each a list of records that ends when it is closed."""

    def __init__(self, **shards: Sequence[Record]) -> None:
        self.shards = {name: list(records) for name, records in shards.items()}
        self.closed: set[str] = set()
        self.failures = 0

    def list_streams(self, TableName: str) -> Mapping[str, Any]:
        return {"Streams": [{"StreamArn": f"arn:{TableName}"}]}

    def describe_stream(self, StreamArn: str) -> Mapping[str, Any]:
        return {"StreamDescription": {"Shards": [{"ShardId": name} for name in self.shards]}}

    def get_shard_iterator(self, StreamArn: str, ShardId: str, ShardIteratorType: str) -> Mapping[str, Any]:
        at = 0 if ShardIteratorType == "TRIM_HORIZON" else len(self.shards[ShardId])
        return {"ShardIterator": f"{ShardId}@{at}"}

    def get_records(self, ShardIterator: str, Limit: int) -> Mapping[str, Any]:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the database is away")
        name, _, at = ShardIterator.partition("@")
        found = self.shards[name][int(at) : int(at) + Limit]
        after = int(at) + len(found)
        ended = name in self.closed and after == len(self.shards[name])
        return {"Records": found, **({} if ended else {"NextShardIterator": f"{name}@{after}"})}


class Consumer:
    """Takes records until one is to fail, which it does as often as it is told."""

    def __init__(self, **failing: int) -> None:
        self.failing = failing
        self.batches: list[list[str]] = []
        self.done: list[str] = []

    def __call__(self, event: dict[str, Any], context: object) -> Mapping[str, Any]:
        numbers = [each["dynamodb"]["SequenceNumber"] for each in event["Records"]]
        self.batches.append(numbers)
        for number in numbers:
            if self.failing.get(f"n{number}", 0):
                self.failing[f"n{number}"] -= 1
                return {"batchItemFailures": [{"itemIdentifier": number}]}
            self.done.append(number)
        return {"batchItemFailures": []}


def opened(stream: Stream, *consumers: Consumer) -> StreamPump:
    pump = StreamPump("runs", stream, consumers)
    pump.open()
    return pump


def turns(pump: StreamPump, number: int = 3) -> list[bool]:
    return [pump.turn(threading.Event()) for _ in range(number)]


def test_records_from_the_opening_on_reach_every_consumer_in_order() -> None:
    stream, first, second = Stream(a=[record(0)]), Consumer(), Consumer()
    pump = opened(stream, first, second)
    stream.shards["a"] += [record(n) for n in range(1, 251)]
    assert turns(pump, 4) == [True, True, True, False]
    assert first.done == second.done == [f"{n:05d}" for n in range(1, 251)]


def test_a_record_that_fails_is_given_again_with_those_after_it() -> None:
    stream, failing, other = Stream(a=[]), Consumer(n00002=2), Consumer()
    pump = opened(stream, failing, other)
    stream.shards["a"] += [record(n) for n in range(4)]
    turns(pump, 1)
    assert failing.batches == [
        ["00000", "00001", "00002", "00003"],
        ["00002", "00003"],
        ["00002", "00003"],
    ]
    assert failing.done == ["00000", "00001", "00002", "00003"]
    assert other.batches == [["00000", "00001", "00002", "00003"]]


def test_a_stop_ends_the_repeating() -> None:
    stream, stop = Stream(a=[]), threading.Event()
    failing = Consumer(n00000=10_000)
    pump = opened(stream, failing)
    stream.shards["a"].append(record(0))
    threading.Timer(0.1, stop.set).start()
    pump.turn(stop)
    assert failing.done == []


def test_a_shard_that_ends_is_followed_by_its_successors_from_their_beginning() -> None:
    stream, consumer = Stream(a=[]), Consumer()
    pump = opened(stream, consumer)
    stream.shards |= {"a": [record(1)], "b": [record(2)], "c": [record(3)]}
    stream.closed.add("a")
    turns(pump)
    assert consumer.done == ["00001", "00002", "00003"]


def test_a_database_that_is_away_for_a_moment_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    stream, consumer, stop = Stream(a=[]), Consumer(), threading.Event()
    pump = opened(stream, consumer)
    stream.shards["a"].append(record(1))
    stream.failures = 2
    with caplog.at_level(logging.CRITICAL, "rune.local.pump"):
        thread = threading.Thread(target=pump.run, args=(stop,))
        thread.start()
        while not consumer.done:
            assert thread.is_alive()
            stop.wait(0.01)
        stop.set()
        thread.join()
    assert consumer.done == ["00001"]


def test_a_consumer_that_breaks_gets_its_batch_again() -> None:
    stream, broken = Stream(a=[]), [True]
    done: list[int] = []

    def consumer(event: dict[str, Any], context: object) -> Mapping[str, Any]:
        if broken:
            broken.pop()
            raise RuntimeError("a bug")
        done.append(len(event["Records"]))
        return {"batchItemFailures": []}

    pump = StreamPump("runs", stream, [consumer])
    pump.open()
    stream.shards["a"].append(record(1))
    with pytest.raises(RuntimeError):
        pump.turn(threading.Event())
    pump.turn(threading.Event())
    assert done == [1]


def test_the_real_tables_stream_tells_how_runs_move(
    tables: Tables, table_clients: dict[str, TableClient]
) -> None:
    client = boto3.client(
        "dynamodbstreams",
        config=Config(parameter_validation=False),
        region_name=REGION,
        endpoint_url=tables.endpoint,
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    store = DynamoRunStore(
        tables.runs,
        table_clients["pydynox"],
        sealer=MemorySealer(),
        blobs=MemoryBlobStore(),
        retention_days=90,
    )
    seen: list[RunMoved] = []

    def consumer(event: dict[str, Any], context: object) -> Mapping[str, Any]:
        seen.extend(found for found in map(run_moved, event["Records"]) if found is not None)
        return {"batchItemFailures": []}

    stored(store)
    pump = StreamPump(tables.runs, client, [consumer])
    pump.open()
    run = stored(store)
    running = moved(store, run, RunState.RUNNING)
    moved(store, running, RunState.SUCCEEDED)
    while pump.turn(threading.Event()) or not seen:
        pass
    assert seen == [
        RunMoved("default", run.run_id, None, RunState.QUEUED),
        RunMoved("default", run.run_id, RunState.QUEUED, RunState.RUNNING),
        RunMoved("default", run.run_id, RunState.RUNNING, RunState.SUCCEEDED),
    ]
    assert [each.queued for each in seen] == [True, False, False]
    assert [each.ended for each in seen] == [False, False, True]
