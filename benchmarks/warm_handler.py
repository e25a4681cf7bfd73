"""CPU of one request in a warm function, without the calls to the table.

Everything that a deployed function does is done: the gateway's event in, authentication, validation, the use
case, the table's items made and read, the audit line, the answer out. Only the client of the table is
replaced, by one that keeps the items in memory.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.outcome import run_benchmark
from rune.local.functions import ROOT
from rune_common.adapters.dynamodb import DynamoRunStore
from rune_common.adapters.dynamodb_client import Item, Key, Write
from rune_common.adapters.dynamodb_settings import DynamoSettingsStore
from rune_common.adapters.dynamodb_spend import DynamoSpendLedger
from rune_common.adapters.memory import MemoryBlobStore, MemorySealer
from rune_common.settings import Settings
from rune_common.wiring import Services, wire

NAME = "warm_handler"
AIMS = {"submit_ms": "<= 3", "read_ms": "<= 3"}
BLOCKS, QUICK_BLOCKS = 9, 2
REQUESTS, QUICK_REQUESTS = 200, 20
TOKEN = "sample-token-of-at-least-32-characters"
NO_LIMITS = {"RUNE_API_AUTH_RATE_BURST": "1000000", "RUNE_API_AUTH_RATE_PER_SECOND": "1000000"}

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


class HeldTables:
    """A TableClient that keeps puts and answers gets; conditions hold, and nothing else is asked of it."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, str, str], Item] = {}

    def get(self, table: str, key: Key) -> Item | None:
        return self._items.get((table, key["pk"], key["sk"]))

    def get_many(self, table: str, keys: Sequence[Key], *, consistent: bool) -> Sequence[Item]:
        return [item for key in keys if (item := self.get(table, key)) is not None]

    def query(
        self,
        table: str,
        condition: str,
        values: Mapping[str, Any],
        *,
        page: int,
        index: str | None = None,
        forward: bool = True,
        consistent: bool = False,
    ) -> Iterator[Item]:
        raise NotImplementedError("neither submitting nor reading a job asks for a list")

    def put(self, table: str, item: Item) -> None:
        self._items[table, item["pk"], item["sk"]] = item

    def update(
        self,
        table: str,
        key: Key,
        change: str,
        values: Mapping[str, Any],
        *,
        condition: str = "",
        names: Mapping[str, str] | None = None,
    ) -> Item:
        return {}

    def transact(self, table: str, writes: Sequence[Write]) -> None:
        for write in writes:
            if write.kind == "put":
                self.put(table, write.item)


def measure(quick: bool) -> dict[str, float]:
    """Milliseconds of this process's CPU per request: the median of blocks of requests."""
    submit, read = _handlers()
    blocks, requests = (QUICK_BLOCKS, QUICK_REQUESTS) if quick else (BLOCKS, REQUESTS)
    accepted = [_answer(submit, _submission(), 202) for _ in range(requests)]
    reads = [_read(json.loads(each["body"])["job_id"]) for each in accepted]
    _block(read, reads, 200)
    submitted, found = [], []
    for _ in range(blocks):
        submitted.append(_block(submit, [_submission() for _ in range(requests)], 202))
        found.append(_block(read, reads, 200))
    return {"submit_ms": statistics.median(submitted), "read_ms": statistics.median(found)}


def _handlers() -> tuple[Handler, Handler]:
    from rune_common.http.lambda_entry import http_function
    from rune_common.http.routes import read_job, submit_job

    settings = {
        **NO_LIMITS,
        "RUNE_ENV": "bench",
        "RUNE_CURSOR_KEY": "0" * 32,
        "RUNE_API_TOKENS": f"default:{TOKEN}",
    }
    tables = HeldTables()

    def build(settings: Settings) -> Services:
        runs = DynamoRunStore(
            settings.runs_table, tables, sealer=MemorySealer(), blobs=MemoryBlobStore(), retention_days=90
        )
        return replace(
            wire(settings),
            runs=runs,
            failures=_NoFailures(),
            tenant_settings=DynamoSettingsStore(settings.runs_table, tables),
            spend=DynamoSpendLedger(settings.runs_table, tables, retention_days=settings.retention_days),
        )

    submit = http_function(submit_job.router, environ=dict(settings), build=build)
    read = http_function(read_job.router, environ=dict(settings), build=build)
    # The audit lines are made and written, and nobody has to see them.
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(open(os.devnull, "w"))  # noqa: SIM115
    return submit, read


class _NoFailures:
    """A FailureWindow in which nobody ever failed."""

    def recent(self, ip: str, *, since_ms: int) -> int:
        return 0

    def record(self, ip: str, *, now_ms: int) -> None:
        raise AssertionError("every request of this benchmark has a token")


def _submission() -> dict[str, Any]:
    """One with an idempotency key of its own, as our client sends it: a repeat would be another, cheaper thing."""
    event = _event("submit_job")
    event["headers"]["Idempotency-Key"] = secrets.token_hex(8)
    return event


def _read(job_id: str) -> dict[str, Any]:
    event = _event("read_job")
    event["path"] = f"/v1/jobs/{job_id}"
    event["pathParameters"] = {"job_id": job_id}
    return event


def _event(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    found["headers"]["Authorization"] = f"Bearer {TOKEN}"
    return found


def _block(handler: Handler, events: Sequence[dict[str, Any]], status: int) -> float:
    began = time.process_time()
    for event in events:
        _answer(handler, event, status)
    return (time.process_time() - began) * 1000 / len(events)


def _answer(handler: Handler, event: dict[str, Any], status: int) -> dict[str, Any]:
    answer = handler(event, None)
    if answer["statusCode"] != status:
        raise RuntimeError(f"answered {answer['statusCode']}: {answer.get('body')}")
    return answer


if __name__ == "__main__":
    raise SystemExit(run_benchmark(NAME, AIMS, measure))
