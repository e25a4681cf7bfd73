"""Approvals and paused conversations beside a run (runs-api.md 6, 13), on every adapter."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from tests.integration.run_samples import NOON, change_of, stored

from rune_common.adapters.dynamodb_approvals import INLINE_SEALED
from rune_common.domain.approval_policy import Gate
from rune_common.domain.approvals import Approval, ApprovalStatus, Decided, approval_id
from rune_common.domain.errors import RunChanged
from rune_common.domain.runs import Pause, RunState

DIGEST = "d" * 64


def approval(run, number: int = 1, **fields) -> Approval:
    base = Approval(
        approval_id(run.run_id, number),
        run.run_id,
        f"{run.run_id}-p1",
        Gate.TOOL_CALL,
        DIGEST,
        NOON,
        NOON + 60_000,
        "agent:holmes",
        "bash: kubectl delete pod x",
    )
    return replace(base, **fields)


def full(run) -> Approval:
    decided = Decided("b", "approve", "fine", "run", NOON + 5, DIGEST, approval_id(run.run_id, 1))
    return approval(
        run,
        2,
        status=ApprovalStatus.APPROVED,
        settled_at=NOON + 5,
        shown={"why": None, "tool": {"params": {"n": 1.5}}, "subject": {"document": {"a": [1, None]}}},
        policy={"pack": "community", "rule_id": "x"},
        required_approvals=2,
        approvers=("b", "c"),
        decisions=(Decided("c", "partial", None, "once", NOON + 1, DIGEST), decided),
        superseded_by=approval_id(run.run_id, 3),
        target_run_id="other",
        loop_id="loop",
        iteration=3,
        call_id="c1",
        alike="e" * 64,
        stops=True,
    )


def waiting(run, *found, **fields):
    """A change by which a run begins to wait."""
    pause = Pause(f"{run.run_id}-p1", NOON, NOON + 60_000)
    change = change_of(run, "waits", state=RunState.AWAITING_APPROVAL, pause=pause, pauses=1)
    return replace(change, approvals=found, **fields)


@pytest.fixture
def run(run_store):
    return stored(run_store, state=RunState.RUNNING, started_at=NOON)


def test_approvals_come_back_whole_and_oldest_first(run_store, run):
    tenth = approval(run, 10)
    run_store.commit(waiting(run, full(run), tenth, approval(run, 1)))
    assert list(run_store.approvals(run.tenant, run.run_id)) == [approval(run, 1), full(run), tenth]
    assert list(run_store.approvals("teamb", run.run_id)) == []


def test_an_approval_changes_only_with_its_run(run_store, run):
    first = waiting(run, approval(run))
    run_store.commit(first)
    denied = replace(approval(run), status=ApprovalStatus.DENIED)
    with pytest.raises(RunChanged):
        run_store.commit(replace(change_of(run, "late"), approvals=(denied,)))
    assert list(run_store.approvals(run.tenant, run.run_id)) == [approval(run)]
    run_store.commit(replace(change_of(first.after, "denied"), approvals=(denied,)))
    assert list(run_store.approvals(run.tenant, run.run_id)) == [denied]


def test_a_pause_is_part_of_the_run_and_makes_it_due_exactly(run_store, run):
    run_store.commit(waiting(run, approval(run)))
    found = run_store.get(run.tenant, run.run_id)
    assert found.waits
    assert found.due_at() == NOON + 60_000
    assert [each.run_id for each in run_store.due(now_ms=NOON + 59_999, limit=10)] == []
    assert [each.run_id for each in run_store.due(now_ms=NOON + 60_000, limit=10)] == [run.run_id]
    settled = replace(found.pause, settled_at=NOON + 7, token="t", started=True)
    run_store.commit(change_of(found, "resumed", state=RunState.RUNNING, pause=settled, waited_ms=7))
    after = run_store.get(run.tenant, run.run_id)
    assert (after.pause, after.pauses, after.waited_ms, after.waits) == (settled, 1, 7, False)


@pytest.mark.parametrize("size", [10, INLINE_SEALED + 1])
def test_a_conversation_is_replaced_and_ends_with_its_run(run_store, run, blobs, size):
    for text in (os.urandom(size).hex(), os.urandom(size).hex()):
        before = run_store.get(run.tenant, run.run_id)
        run_store.commit(replace(change_of(before, "said"), conversation={"messages": [text]}))
        kept = run_store.get(run.tenant, run.run_id)
        run_store.commit(change_of(kept, "counted", pauses=kept.pauses + 1))
        assert run_store.conversation(run.tenant, run.run_id) == {"messages": [text]}
    assert run_store.conversation("teamb", run.run_id) is None
    assert len(blobs.keys) <= 1
    before = run_store.get(run.tenant, run.run_id)
    run_store.commit(replace(change_of(before, "over", state=RunState.FAILED), forget_request=True))
    assert run_store.conversation(run.tenant, run.run_id) is None
    assert blobs.keys == ()


def test_a_conversation_of_a_change_that_lost_is_not_kept(run_store, run, blobs):
    run_store.commit(change_of(run, "somebody was first"))
    large = os.urandom(INLINE_SEALED + 1).hex()
    with pytest.raises(RunChanged):
        run_store.commit(replace(change_of(run, "late"), conversation={"messages": [large]}))
    assert run_store.conversation(run.tenant, run.run_id) is None
    assert blobs.keys == ()


def test_thirty_approvals_with_their_events_fit_one_transaction(run_store, run):
    found = tuple(approval(run, number, shown={"why": "x" * 500}) for number in range(1, 31))
    change = replace(waiting(run), approvals=found, conversation={"messages": ["x" * 100_000]})
    events = change_of(run, *map(str, range(40)))
    run_store.commit(
        replace(change, events=events.events, after=replace(change.after, head=events.after.head))
    )
    assert list(run_store.approvals(run.tenant, run.run_id)) == list(found)
