"""One client's work for `table_clients`, in a process of its own; prints milliseconds as one JSON object."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.tables import REGION

OPERATIONS = ("get", "put", "transact_4", "query_50")
CALLERS = 16
"""As many as one API process may have at once."""


def measure(client: str, endpoint: str, table: str, rounds: int) -> dict[str, Any]:
    before = time.process_time(), time.perf_counter()
    calls = {"boto3": boto3_calls, "pydynox": pydynox_calls}[client](endpoint, table)
    calls["get"](0)
    found = {"load": _spent(before, 1)}
    for number in range(60):
        calls["put"](number)
    for operation in OPERATIONS:
        before = time.process_time(), time.perf_counter()
        for number in range(rounds):
            calls[operation](number)
        found[operation] = _spent(before, rounds)
    before = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(calls["transact_4"], range(rounds, 2 * rounds)))
    found["transact_4_concurrent"] = _spent(before, rounds)
    return found


def _spent(before: tuple[float, float], rounds: int) -> dict[str, float]:
    cpu, wall = time.process_time() - before[0], time.perf_counter() - before[1]
    return {"cpu_ms": cpu / rounds * 1000, "wall_ms": wall / rounds * 1000}


def item(number: int) -> dict[str, Any]:
    """About a run's head: 0.8 KiB in thirty attributes."""
    texts = {f"text_{each}": "x" * 30 for each in range(20)}
    numbers = {f"number_{each}": number + each for each in range(10)}
    return {"pk": f"client-{os.getpid()}", "sk": f"item-{number:06d}", **texts, **numbers}


def boto3_calls(endpoint: str, table: str) -> dict[str, Callable[[int], object]]:
    import boto3
    from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
    from botocore.config import Config

    client = boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(max_pool_connections=CALLERS),
    )
    serializer, deserializer = TypeSerializer(), TypeDeserializer()

    def typed(values: dict[str, Any]) -> dict[str, Any]:
        return {name: serializer.serialize(value) for name, value in values.items()}

    def plain(values: dict[str, Any]) -> dict[str, Any]:
        return {name: deserializer.deserialize(value) for name, value in values.items()}

    def get(number: int) -> object:
        key = {name: item(number % 50)[name] for name in ("pk", "sk")}
        return plain(client.get_item(TableName=table, Key=typed(key), ConsistentRead=True).get("Item", {}))

    def put(number: int) -> object:
        return client.put_item(TableName=table, Item=typed(item(number % 50)))

    def transact(number: int) -> object:
        puts = [
            {
                "Put": {
                    "TableName": table,
                    "Item": typed({**item(number), "sk": f"transaction-{number}-{each}"}),
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            }
            for each in range(4)
        ]
        return client.transact_write_items(TransactItems=puts)

    def query(number: int) -> object:
        found = client.query(
            TableName=table,
            KeyConditionExpression="pk = :of AND sk BETWEEN :low AND :high",
            ExpressionAttributeValues=typed({":of": item(0)["pk"], ":low": "item-", ":high": "item-~"}),
            Limit=50,
            ConsistentRead=True,
        )
        return [plain(each) for each in found["Items"]]

    return {"get": get, "put": put, "transact_4": transact, "query_50": query}


def pydynox_calls(endpoint: str, table: str) -> dict[str, Callable[[int], object]]:
    from rune_common.adapters.dynamodb_client import Write, connect

    client = connect(region=REGION, endpoint=endpoint)

    def get(number: int) -> object:
        return client.get(table, {name: item(number % 50)[name] for name in ("pk", "sk")})

    def put(number: int) -> object:
        return client.put(table, item(number % 50))  # type: ignore[func-returns-value]

    def transact(number: int) -> object:
        return client.transact(  # type: ignore[func-returns-value]
            table,
            [
                Write(
                    "put",
                    item={**item(number), "sk": f"transaction-{number}-{each}"},
                    condition="attribute_not_exists(pk)",
                )
                for each in range(4)
            ],
        )

    def query(number: int) -> object:
        found = client.query(
            table,
            "pk = :of AND sk BETWEEN :low AND :high",
            {":of": item(0)["pk"], ":low": "item-", ":high": "item-~"},
            page=50,
            consistent=True,
        )
        return [each for each, _ in zip(found, range(50), strict=False)]

    return {"get": get, "put": put, "transact_4": transact, "query_50": query}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))))
