"""A database with runs that ended long ago, as months of use would leave them."""

from __future__ import annotations

import gzip
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks.tables import DEFAULTS, REGION, deployed_tables
from rune.local.database import find_binary
from rune.local.functions import ROOT
from rune.local.tables import table_admin
from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_client import Item
from rune_common.adapters.dynamodb_items import event_item, run_item, ttl_after
from rune_common.domain.events import Event, EventDraft, append_event
from rune_common.domain.redaction import Redactor
from rune_common.domain.runs import LogHead, Run, RunKind, RunState

TENANT = "default"
SPACING_MS = 60_000
IMPORT_SECONDS = 90.0
NO_HASH = "0" * 64
EVENTS = (
    EventDraft("run_queued", {"summary": "accepted", "request": {"question": "What is wrong?"}}),
    EventDraft("run_completed", {"summary": "job succeeded", "answer": "The image does not exist. " * 20}),
)
RESULT = json.dumps({"answer": "The image does not exist. " * 20})


def store_runs(database: Path, count: int, *, now_ms: int) -> None:
    """Make the file `database` with the deployed tables and `count` ended runs, a minute between them.

    The database's own import does it, which takes a seventh of the time that the same writes do.
    """
    binary = find_binary(ROOT)
    assert binary is not None
    with tempfile.TemporaryDirectory(prefix="rune-bench-") as scratch:
        schema, data = Path(scratch) / "schema.json", Path(scratch) / "export" / DEFAULTS.runs_table / "data"
        schema.write_text(json.dumps(_schema(Path(scratch) / "empty"), default=lambda date: date.timestamp()))
        data.mkdir(parents=True)
        with gzip.open(data / "runs.json.gz", "wt", compresslevel=1) as lines:
            for item in stored_items(count, now_ms=now_ms):
                lines.write(
                    json.dumps({"Item": {name: _typed(value) for name, value in item.items()}}) + "\n"
                )
        subprocess.run(
            [binary, "import", "--source", data.parents[1], "--schema", schema, "--output", database],
            check=True,
            capture_output=True,
            timeout=IMPORT_SECONDS,
        )


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


def _schema(folder: Path) -> list[dict[str, Any]]:
    """The tables as the service would describe them."""
    with deployed_tables(folder) as endpoint:
        admin = table_admin(endpoint, REGION)
        names = (DEFAULTS.runs_table, DEFAULTS.identity_table)
        return [{"Table": admin.describe_table(TableName=name)["Table"]} for name in names]


def _log() -> list[Event]:
    head, events = LogHead(TENANT, "stored", 0, NO_HASH), []
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
        head=LogHead(TENANT, run_id, len(events), NO_HASH, terminal=True),
        message="job succeeded",
        model="instant",
        has_result=True,
    )


def _typed(value: Any) -> dict[str, Any]:
    """A value in the service's notation, for what a run's items hold."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int | float):
        return {"N": str(value)}
    if isinstance(value, list):
        return {"L": [_typed(each) for each in value]}
    return {"M": {name: _typed(each) for name, each in value.items()}}
