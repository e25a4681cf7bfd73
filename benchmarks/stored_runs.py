"""Fills a data folder with runs that ended long ago, as months of use would leave them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks.tables import DEFAULTS, REGION, deployed_tables
from rune.local.tables import table_admin
from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_client import Item
from rune_common.adapters.dynamodb_items import event_item, run_item, ttl_after
from rune_common.domain.events import Event, EventDraft, append_event
from rune_common.domain.redaction import Redactor
from rune_common.domain.runs import LogHead, Run, RunKind, RunState

TENANT = "default"
BATCH = 25
SPACING_MS = 60_000
EVENTS = (
    EventDraft("run_queued", {"summary": "accepted", "request": {"question": "What is wrong?"}}),
    EventDraft("run_completed", {"summary": "job succeeded", "answer": "The image does not exist. " * 20}),
)
RESULT = '{"answer":"' + "The image does not exist. " * 20 + '"}'


def fill(folder: Path, count: int, *, now_ms: int) -> None:
    """Put `count` runs of one tenant into a database whose file lies in `folder`, a minute between them.

    The table's stream is off meanwhile: nobody would read it, and months of use would have been forgotten.
    """
    with deployed_tables(folder) as endpoint:
        admin = table_admin(endpoint, REGION)
        _stream(admin, enabled=False)
        items = stored_items(count, now_ms=now_ms)
        # The product's client makes single writes; its library has batches too.
        from pydynox import DynamoDBClient

        client = DynamoDBClient(
            region=REGION, endpoint_url=endpoint, access_key="local", secret_key="local", read_timeout=30.0
        )
        while batch := list(islice(items, BATCH)):
            client.sync_batch_write(DEFAULTS.runs_table, put_items=batch)
        _stream(admin, enabled=True)


def stored_items(count: int, *, now_ms: int) -> Iterator[Item]:
    """For each run its head, two events and its result."""
    events = _log()
    for number in range(count):
        at = now_ms - (count - number) * SPACING_MS
        run = _ended(number, at, events)
        yield run_item(run, write_id="stored", retention_days=DEFAULTS.retention_days)
        for event in events:
            yield event_item(TENANT, run.run_id, event)
        expiry = ttl_after(at, DEFAULTS.retention_days)
        yield {**keys.result_key(TENANT, run.run_id), "document": RESULT, "ttl": expiry}


def _log() -> list[Event]:
    head, events = LogHead(TENANT, "stored", 0, "0" * 64), []
    for draft in EVENTS:
        event, head = append_event(head, draft, now_ms=0, redactor=Redactor())
        events.append(event)
    return events


def _ended(number: int, at: int, events: list[Event]) -> Run:
    run_id = str(UUID(int=at << 80 | 0x7 << 76 | 0b10 << 62 | number))
    return Run(
        tenant=TENANT,
        run_id=run_id,
        kind=RunKind.AGENT,
        state=RunState.SUCCEEDED,
        created_at=at,
        updated_at=at,
        started_at=at,
        finished_at=at,
        created_by="local",
        head=LogHead(TENANT, run_id, len(events), "0" * 64, terminal=True),
        message="job succeeded",
        model="instant",
        has_result=True,
    )


def _stream(admin: Any, *, enabled: bool) -> None:
    view = {"StreamViewType": "NEW_AND_OLD_IMAGES"} if enabled else {}
    admin.update_table(
        TableName=DEFAULTS.runs_table, StreamSpecification={"StreamEnabled": enabled, **view}
    )
