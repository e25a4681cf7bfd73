"""What the table's run store adds to the port: where large and secret things lie, and how long they stay."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.integration.boto3_tables import untyped
from tests.integration.run_samples import DAY, NOON, REQUEST, change_of, claim_for, moved, new_run, stored

from rune_common.adapters.dynamodb import DynamoRunStore
from rune_common.adapters.memory import MemorySealer
from rune_common.domain.errors import IdempotencyKeyTaken, RunChanged
from rune_common.domain.ports import RunRequest
from rune_common.domain.runs import RunState

SECRET = "client-key-data: c2VjcmV0LW9mLWEtY2x1c3Rlcg=="
LARGE = {"answer": "x" * 40_000}


@pytest.fixture
def store(tables, table_clients, blobs):
    client = table_clients["pydynox"]
    return DynamoRunStore(tables.runs, client, sealer=MemorySealer(), blobs=blobs, retention_days=30)


@pytest.fixture
def scan(tables, admin):
    """All stored items by sort key: only a test may read a whole table."""

    def found():
        pages = admin.get_paginator("scan").paginate(TableName=tables.runs, ConsistentRead=True)
        items = [untyped(item) for page in pages for item in page["Items"]]
        return {(item["pk"], item["sk"]): item for item in items}

    return found


def by_place(items, place):
    (item,) = (item for (_, sk), item in items.items() if sk == place)
    return item


@pytest.mark.parametrize("document", [{"question": "why?"}, LARGE])
def test_a_secret_is_nowhere_in_plain_text_and_gone_after_the_end(store, scan, blobs, document):
    run, events = new_run()
    store.create(run, RunRequest(document, {"kubeconfig": SECRET}), events, claim=claim_for(run))
    kept = repr(scan()).encode() + b"".join(blobs.get(key) for key in blobs.keys)
    for hidden in (SECRET, "c2VjcmV0LW9mLWEtY2x1c3Rlcg", "kubeconfig"):
        assert hidden.encode() not in kept
    assert store.request(run.tenant, run.run_id).secrets == {"kubeconfig": SECRET}
    end = change_of(run, "end", state=RunState.CANCELLED, finished_at=NOON)
    store.commit(replace(end, forget_request=True))
    assert {sk for _, sk in scan()} == {"HEAD", "EVT#000000000001", "EVT#000000000002", "IDEM", "COUNTS"}
    assert blobs.keys == ()


def test_a_secret_can_be_opened_for_its_own_run_only(store, tables, admin, scan):
    run, events = new_run()
    store.create(run, RunRequest({}, {"kubeconfig": SECRET}), events)
    other = stored(store)
    item = by_place({place: each for place, each in scan().items() if run.run_id in place[0]}, "REQ")
    admin.update_item(
        TableName=tables.runs,
        Key={"pk": {"S": f"T#{other.tenant}#R#{other.run_id}"}, "sk": {"S": "REQ"}},
        UpdateExpression="SET sealed = :moved",
        ExpressionAttributeValues={":moved": {"B": item["sealed"]}},
    )
    with pytest.raises(ValueError, match="context"):
        store.request(other.tenant, other.run_id)


def test_the_largest_kubeconfig_fits_the_table(store, blobs):
    run, events = new_run()
    request = RunRequest({"question": "q" * 100_000}, {"kubeconfig": "k" * 256 * 1024})
    store.create(run, request, events)
    assert store.request(run.tenant, run.run_id) == request
    assert len(blobs.keys) == 1


def test_small_documents_lie_in_the_table_and_large_ones_in_the_blob_store(store, scan, blobs):
    run = stored(store)
    change = replace(change_of(run, "small"), result={"answer": "small"})
    store.commit(change)
    assert json.loads(by_place(scan(), "RESULT")["document"]) == {"answer": "small"}
    assert blobs.keys == ()
    store.commit(replace(change_of(change.after, "large"), result=LARGE))
    (key,) = blobs.keys
    assert by_place(scan(), "RESULT")["blob"] == key
    assert key.startswith(f"runs/{run.tenant}/{run.run_id}/")
    assert store.result(run.tenant, run.run_id) == LARGE
    assert store.results(run.tenant, [run.run_id]) == {run.run_id: LARGE}


def test_a_writer_that_lost_does_not_change_the_winners_large_result(store):
    run = stored(store)
    store.commit(replace(change_of(run, "first"), result=LARGE))
    with pytest.raises(RunChanged):
        store.commit(replace(change_of(run, "second"), result={"answer": "y" * 40_000}))
    assert store.result(run.tenant, run.run_id) == LARGE


def test_a_run_that_was_not_created_leaves_no_blob(store, blobs):
    first, events = new_run()
    store.create(first, REQUEST, events, claim=claim_for(first))
    second, later = new_run()
    with pytest.raises(IdempotencyKeyTaken):
        store.create(second, RunRequest(LARGE), later, claim=claim_for(second))
    assert blobs.keys == ()


def test_an_ended_run_gets_its_time_to_live_and_leaves_the_due_index(store, scan):
    run = stored(store, state=RunState.RUNNING)
    assert "ttl" not in by_place(scan(), "HEAD")
    assert by_place(scan(), "HEAD")["gsi3pk"].startswith("DUE#")
    change = change_of(run, "end", state=RunState.SUCCEEDED, finished_at=NOON + 1)
    store.commit(replace(change, result={"answer": "42"}))
    head, result = by_place(scan(), "HEAD"), by_place(scan(), "RESULT")
    assert head["ttl"] == result["ttl"] == NOON // 1000 + 1 + 30 * DAY // 1000
    assert "gsi3pk" not in head
    assert "gsi3sk" not in head


def test_the_counters_follow_the_states(store, scan):
    counts = []

    def note():
        item = by_place(scan(), "COUNTS")
        counts.append((item.get("active", 0), item.get("running", 0)))

    run = stored(store)
    note()
    claimed = store.claim_slot(run, owner="e", max_running=1, now_ms=NOON)
    note()
    running = moved(store, claimed, RunState.RUNNING)
    note()
    moved(store, running, RunState.FAILED, finished_at=NOON, holds_slot=False)
    note()
    external = stored(store, state=RunState.RUNNING, holds_slot=True)
    note()
    moved(store, external, RunState.SUCCEEDED, finished_at=NOON)
    note()
    assert counts == [(1, 0), (1, 1), (1, 1), (0, 0), (1, 1), (0, 0)]


def test_an_ordinary_head_is_written_with_one_unit(scan, store):
    stored(
        store,
        "a-tenant-of-some-length",
        state=RunState.AWAITING_APPROVAL,
        model="llama3.1:8b",
        owner="local-0123456789abcdef",
        attempt=1,
        attempt_id="0199c0de-0000-7000-8000-000000000000",
        started_at=NOON,
        heartbeat_at=NOON,
        phase="waiting for instance",
        message="waiting for instance",
        created_by="seed-0123abcd",
    )
    head = by_place(scan(), "HEAD")
    size = sum(len(name) + (len(value) if isinstance(value, str) else 9) for name, value in head.items())
    assert size < 1024


def test_a_page_of_events_ends_after_four_mebibytes(store):
    run = stored(store)
    for turn in range(4):
        change = change_of(run, *(f"{turn} {number} " + "x" * 250 for number in range(40)))
        large = tuple(replace(event, body=event.body + b" " * 31_000) for event in change.events)
        store.commit(replace(change, events=large))
        run = change.after
    page = store.events(run.tenant, run.run_id, limit=5000)
    assert page.more
    assert 4 * 2**20 <= sum(len(event.body) for event in page.events) < 4 * 2**20 + 32_768
    rest = store.events(run.tenant, run.run_id, after=page.events[-1].sequence, limit=5000)
    assert not rest.more
    assert len(page.events) + len(rest.events) == 161
