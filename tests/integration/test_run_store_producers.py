"""The run store's contract, on every adapter: producer keys, kept answers, snapshots of folded logs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.integration.run_samples import DAY, NOON, at_once, change_of, claim_for, moved, new_run, stored

from rune_common.domain.errors import IdempotencyKeyTaken, RunChanged, RuneError
from rune_common.domain.ports import FoldSnapshot, Producer
from rune_common.domain.runs import RunState


def appended(store, run, *producers):
    change = replace(change_of(run, *("event" for _ in producers)), producers=producers)
    store.commit(change)
    return change.after


def test_a_producer_key_keeps_its_place_and_what_was_sent(run_store):
    run = stored(run_store)
    first, second = Producer("k-1", 2, "a" * 64), Producer("k ü/2", 3, "b" * 64)
    appended(run_store, run, first, second)
    found = run_store.producers(run.tenant, run.run_id, ["k-1", "nothing", "k ü/2", "k-1"])
    assert found == {"k-1": first, "k ü/2": second}


def test_a_key_of_one_run_is_unknown_to_others(run_store):
    run, other = stored(run_store), stored(run_store, "teamb")
    appended(run_store, run, Producer("k-1", 2, "a" * 64))
    assert run_store.producers(other.tenant, other.run_id, ["k-1"]) == {}
    assert run_store.producers("default", other.run_id, ["k-1"]) == {}
    assert run_store.producers(run.tenant, run.run_id, []) == {}


def test_a_key_without_a_digest_and_one_with_a_control_character_come_back(run_store):
    run = stored(run_store)
    plain, inner = Producer("attempt:1", 2), Producer("\tartifact:a_1", 3, "c" * 64)
    appended(run_store, run, plain, inner)
    found = run_store.producers(run.tenant, run.run_id, ["attempt:1", "\tartifact:a_1"])
    assert found == {plain.key: plain, inner.key: inner}


def test_of_writers_with_one_key_one_wins(run_store):
    run = stored(run_store)

    def write(turn):
        head = run_store.get(run.tenant, run.run_id)
        return appended(run_store, head, Producer("same", head.head.sequence + 1, f"{turn:064d}"))

    results = at_once(8, write)
    assert sum(not isinstance(each, RuneError) for each in results) == 1
    assert all(isinstance(each, RunChanged) for each in results if isinstance(each, RuneError))
    assert len(run_store.events(run.tenant, run.run_id).events) == 2


def test_a_claim_enters_with_the_change_and_keeps_the_answer(run_store):
    run = stored(run_store)
    claim = replace(claim_for(run, operation="cancel_run:1"), status=202, body='{"text":"ü 😀"}')
    run_store.commit(replace(change_of(run, "cancel"), claim=claim))
    assert run_store.claimed(run.tenant, "cancel_run:1", "key") == claim
    again = run_store.get(run.tenant, run.run_id)
    with pytest.raises(IdempotencyKeyTaken):
        run_store.commit(replace(change_of(again, "again"), claim=claim))
    assert run_store.get(run.tenant, run.run_id) == again


def test_a_change_that_is_refused_leaves_its_key_free(run_store):
    run = stored(run_store)
    moved(run_store, run, RunState.CANCELLING)
    with pytest.raises(RunChanged):
        run_store.commit(replace(change_of(run, "late"), claim=claim_for(run, operation="op")))
    assert run_store.claimed(run.tenant, "op", "key") is None


def test_an_answer_is_kept_without_a_change(run_store):
    run, _ = new_run()
    claim = replace(claim_for(run, operation="ticket"), status=201, body="{}")
    run_store.keep_claim(claim, now_ms=NOON)
    assert run_store.claimed(run.tenant, "ticket", "key") == claim
    with pytest.raises(IdempotencyKeyTaken):
        run_store.keep_claim(claim, now_ms=NOON)
    later = replace(claim, expires_at=claim.expires_at + 91 * DAY)
    run_store.keep_claim(later, now_ms=claim.expires_at)
    assert run_store.claimed(run.tenant, "ticket", "key") == later


def test_a_snapshot_is_replaced_by_newer_ones_only(run_store):
    run, other = stored(run_store), stored(run_store)
    assert run_store.snapshots(run.tenant, [run.run_id]) == {}
    older, newer = FoldSnapshot(500, "f1", b"\x00old"), FoldSnapshot(1000, "f2", b"new")
    run_store.keep_snapshot(run, newer)
    run_store.keep_snapshot(run, older)
    run_store.keep_snapshot(run, replace(newer, data=b"same place"))
    found = run_store.snapshots(run.tenant, [run.run_id, other.run_id, run.run_id])
    assert found == {run.run_id: newer}


def test_a_snapshot_that_has_no_room_is_not_kept(run_store):
    run = stored(run_store)
    run_store.keep_snapshot(run, FoldSnapshot(500, "f", b"x" * 400_000))
    assert run_store.snapshots(run.tenant, [run.run_id]) == {}
