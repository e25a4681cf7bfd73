"""A log of schema version 1, recorded once and never written again, is read as it was then (runs-api.md 3)."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from rune_common.domain.canonical import canonical_json
from rune_common.domain.chain import leaf_hash, link_hash, verify_chain
from rune_common.domain.events import FAMILY_OF, SCHEMA_VERSION, Event
from rune_common.domain.job_events import job_event

DATA = Path(__file__).parent / "data"
LINES = (DATA / "recorded_log.jsonl").read_bytes().splitlines()
EXPECTED: dict[str, Any] = json.loads((DATA / "recorded_log.expected.json").read_text())
TENANT, RUN_ID = EXPECTED["tenant"], EXPECTED["run_id"]


def read(line: bytes) -> Event:
    document = json.loads(line)
    return Event(document["sequence"], document["type"], line)


def appended(**members: Any) -> bytes:
    """A line of a newer writer after the recorded ones, linked as every line is."""
    entry = {**json.loads(LINES[-1]), "sequence": len(LINES) + 1, **members}
    prev_hash = entry.pop("hash")
    del entry["prev_hash"]
    link = link_hash(prev_hash, leaf_hash(canonical_json(entry)))
    return canonical_json({**entry, "prev_hash": prev_hash, "hash": link})


def test_the_recorded_chain_still_verifies() -> None:
    assert verify_chain(TENANT, RUN_ID, LINES) == []
    assert json.loads(LINES[-1])["hash"] == EXPECTED["head_hash"]


def test_the_recorded_types_still_exist_and_the_last_is_terminal() -> None:
    events = [read(line) for line in LINES]
    assert [event.type for event in events] == EXPECTED["types"]
    assert {event.type for event in events} <= FAMILY_OF.keys()
    assert [event.terminal for event in events] == [False] * (len(LINES) - 1) + [True]
    assert {event.document()["schema_version"] for event in events} == {SCHEMA_VERSION} == {"1"}


def test_the_recorded_events_show_as_the_same_job_events() -> None:
    shown = [dataclasses.asdict(found) for found in map(job_event, map(read, LINES)) if found is not None]
    assert shown == EXPECTED["job_events"]


def test_an_event_of_a_newer_writer_is_read_and_verified() -> None:
    newer = appended(type="weather_changed", family="weather", wind={"knots": 12})
    assert verify_chain(TENANT, RUN_ID, [*LINES, newer]) == []
    event = read(newer)
    assert event.document()["wind"] == {"knots": 12}
    assert not event.terminal
    found = job_event(event)
    assert found is not None
    assert found.name == "job.succeeded"


def test_an_event_without_a_span_has_no_place_among_job_events() -> None:
    assert job_event(read(appended(type="weather_changed", payload={"summary": "sunny"}))) is None


@pytest.mark.parametrize("place", range(0, sum(map(len, LINES)), 97))
def test_a_recorded_byte_that_is_changed_is_found(place: int) -> None:
    lines = list(LINES)
    number = 0
    while place >= len(lines[number]):
        place -= len(lines[number])
        number += 1
    changed = bytearray(lines[number])
    changed[place] ^= 0x01
    lines[number] = bytes(changed)
    assert verify_chain(TENANT, RUN_ID, lines)
