"""Which client should speak to the tables: boto3 or pydynox? (docs/adr/0002-table-client.md)

    python benchmarks/table_clients.py [--rounds 400]

Starts the local database in memory, so that no disk is measured, and gives each client the same work in a
process of its own, over the wire. Each has two turns, in mirrored order, of which the better counts. CPU is
the client process's user and system time; the database's is not in it. The last line is a JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rune.local.database import LocalDatabase, find_binary
from rune.local.tables import make_tables, table_admin, table_definitions

ROOT = Path(__file__).parents[1]
REGION = "us-east-1"
TABLE = "bench-runs"
CLIENTS = ("boto3", "pydynox")
OPERATIONS = ("get", "put", "transact_4", "query_50")
CALLERS = 16
AIMS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "pydynox CPU per get is at most a third of boto3's": lambda found: _ratio(found, "get") <= 1 / 3,
    "pydynox CPU per transaction is at most a third of boto3's": lambda found: (
        _ratio(found, "transact_4") <= 1 / 3
    ),
    "pydynox loads in at most half of boto3's CPU": lambda found: (
        found["pydynox"]["load"]["cpu_ms"] <= found["boto3"]["load"]["cpu_ms"] / 2
    ),
    f"pydynox makes more transactions per second with {CALLERS} callers": lambda found: (
        found["pydynox"]["transact_4_concurrent"]["per_second"]
        > found["boto3"]["transact_4_concurrent"]["per_second"]
    ),
}


def _ratio(found: dict[str, Any], operation: str) -> float:
    ratio: float = found["pydynox"][operation]["cpu_ms"] / found["boto3"][operation]["cpu_ms"]
    return ratio


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=400, help="calls of each kind (400)")
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", default="", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.client:
        print(json.dumps(measure(chosen.client, chosen.endpoint, chosen.rounds)))
        return
    binary = find_binary(ROOT)
    if binary is None:
        raise SystemExit("no local database: run `npm ci`")
    turns: dict[str, list[dict[str, Any]]] = {client: [] for client in CLIENTS}
    with LocalDatabase(binary, None) as database:
        # Without its stream: the database's own work must not grow from turn to turn.
        table = table_definitions(ROOT / "template.yaml")["RunsTable"] | {"StreamSpecification": None}
        make_tables({"RunsTable": table}, {"RunsTable": TABLE}, table_admin(database.endpoint, REGION))
        for client in (*CLIENTS, *reversed(CLIENTS)):
            turns[client].append(in_own_process(client, database.endpoint, chosen.rounds))
    found = {client: better(*pair) for client, pair in turns.items()}
    show(found)
    met = {aim: holds(found) for aim, holds in AIMS.items()}
    print(json.dumps({"benchmark": "table_clients", "results": found, "aims": list(AIMS), "met": met}))


def better(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {
            "cpu_ms": min(one[name]["cpu_ms"], other[name]["cpu_ms"]),
            "wall_ms": min(one[name]["wall_ms"], other[name]["wall_ms"]),
            "per_second": max(one[name]["per_second"], other[name]["per_second"]),
        }
        for name in one
    }


def in_own_process(client: str, endpoint: str, rounds: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--client", client, "--endpoint", endpoint, "--rounds", str(rounds)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ.copy())
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(client: str, endpoint: str, rounds: int) -> dict[str, Any]:
    before = time.process_time(), time.perf_counter()
    calls = {"boto3": boto3_calls, "pydynox": pydynox_calls}[client](endpoint)
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
    # Sixteen callers is what one API process may have at once.
    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(calls["transact_4"], range(rounds, 2 * rounds)))
    found["transact_4_concurrent"] = _spent(before, rounds)
    return found


def _spent(before: tuple[float, float], rounds: int) -> dict[str, float]:
    cpu, wall = time.process_time() - before[0], time.perf_counter() - before[1]
    return {
        "cpu_ms": round(cpu / rounds * 1000, 3),
        "wall_ms": round(wall / rounds * 1000, 3),
        "per_second": round(rounds / wall, 1),
    }


def item(number: int) -> dict[str, Any]:
    """About a run's head: 0.8 KiB in thirty attributes."""
    texts = {f"text_{each}": "x" * 30 for each in range(20)}
    numbers = {f"number_{each}": number + each for each in range(10)}
    return {"pk": f"client-{os.getpid()}", "sk": f"item-{number:06d}", **texts, **numbers}


def boto3_calls(endpoint: str) -> dict[str, Callable[[int], object]]:
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
        return plain(client.get_item(TableName=TABLE, Key=typed(key), ConsistentRead=True).get("Item", {}))

    def put(number: int) -> object:
        return client.put_item(TableName=TABLE, Item=typed(item(number % 50)))

    def transact(number: int) -> object:
        puts = [
            {
                "Put": {
                    "TableName": TABLE,
                    "Item": typed({**item(number), "sk": f"transaction-{number}-{each}"}),
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            }
            for each in range(4)
        ]
        return client.transact_write_items(TransactItems=puts)

    def query(number: int) -> object:
        found = client.query(
            TableName=TABLE,
            KeyConditionExpression="pk = :of AND sk BETWEEN :low AND :high",
            ExpressionAttributeValues=typed({":of": item(0)["pk"], ":low": "item-", ":high": "item-~"}),
            Limit=50,
            ConsistentRead=True,
        )
        return [plain(each) for each in found["Items"]]

    return {"get": get, "put": put, "transact_4": transact, "query_50": query}


def pydynox_calls(endpoint: str) -> dict[str, Callable[[int], object]]:
    from rune_common.adapters.dynamodb_client import Write, connect

    client = connect(region=REGION, endpoint=endpoint)

    def get(number: int) -> object:
        return client.get(TABLE, {name: item(number % 50)[name] for name in ("pk", "sk")})

    def put(number: int) -> object:
        return client.put(TABLE, item(number % 50))  # type: ignore[func-returns-value]

    def transact(number: int) -> object:
        return client.transact(  # type: ignore[func-returns-value]
            TABLE,
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
            TABLE,
            "pk = :of AND sk BETWEEN :low AND :high",
            {":of": item(0)["pk"], ":low": "item-", ":high": "item-~"},
            page=50,
            consistent=True,
        )
        return [each for each, _ in zip(found, range(50), strict=False)]

    return {"get": get, "put": put, "transact_4": transact, "query_50": query}


def show(found: dict[str, Any]) -> None:
    print(f"{'':24}" + "".join(f"{client + ' CPU, wall ms':>28}" for client in CLIENTS))
    for operation in found[CLIENTS[0]]:
        cells = (found[client][operation] for client in CLIENTS)
        print(
            f"{operation:24}" + "".join(f"{cell['cpu_ms']:>17.2f}{cell['wall_ms']:>11.2f}" for cell in cells)
        )


if __name__ == "__main__":
    main()
