"""A status is the fold of the log, whatever snapshot it starts from (ADR 0008)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.agent_runs import REDACTOR, START

from rune_common.adapters.memory import MemoryRunStore
from rune_common.domain.chain import genesis
from rune_common.domain.errors import Unavailable
from rune_common.domain.events import EventDraft, EventUsage
from rune_common.domain.fold import RunStatus, fold
from rune_common.domain.fold_snapshots import dump_status, load_status, snapshot_form
from rune_common.domain.ports import FoldSnapshot, RunRequest
from rune_common.domain.runs import LogHead, Run, RunKind, RunState
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.run_status import SNAPSHOT_EVERY, run_status, run_statuses

DRAFTS = st.lists(
    st.sampled_from(
        [
            EventDraft("run_progress", {"summary": "on"}, usage=EventUsage(3, 4, 1, 0, 12, model="m")),
            EventDraft("finding_opened", {"finding": {"fingerprint": "f1", "severity": "P0"}}),
            EventDraft("finding_resolved", {"fingerprint": "f1", "resolution": "fixed"}),
            EventDraft("stage_changed", {"stage": "SCAN"}, stage="SCAN"),
            EventDraft("tool_call", {"call_id": "c", "tool_name": "t", "badge": "SUBAGENT"}),
            EventDraft("gate_result", {"gate_id": "g", "gate_status": "failed", "required": True}),
            EventDraft("approval_requested", {"approval_id": "a", "gate": "command", "subject_digest": "d"}),
            EventDraft("approval_approved", {"approval_id": "a", "gate": "command", "decision": "approve"}),
            EventDraft("narrative", {"text": "\ud83d\ude00 done", "final": True}),
        ]
    ),
    max_size=12,
)


def new_run(store, run_id="run-1"):
    run = Run(
        tenant="default",
        run_id=run_id,
        kind=RunKind.EXTERNAL,
        state=RunState.RUNNING,
        created_at=START,
        updated_at=START,
        created_by="tester",
        head=LogHead("default", run_id, 0, genesis("default", run_id)),
    )
    store.create(run, RunRequest({}), [])
    return run


def append(store, run_id, drafts):
    return change_run(
        "default",
        run_id,
        lambda run: Proposal(run, drafts),
        runs=store,
        clock=lambda: START,
        redactor=REDACTOR,
    )


def whole(store, run):
    page = store.events(run.tenant, run.run_id, limit=100_000)
    return fold(event.document() for event in page.events)


@settings(max_examples=60, deadline=None)
@given(before=DRAFTS, after=DRAFTS)
def test_a_snapshot_comes_back_as_it_was_and_goes_on_as_the_log_does(before, after):
    store = MemoryRunStore()
    new_run(store)
    append(store, "run-1", before)
    first = whole(store, store.get("default", "run-1"))
    assert load_status(dump_status(first)) == first
    store.keep_snapshot(
        store.get("default", "run-1"), FoldSnapshot(first.last_sequence, snapshot_form(), dump_status(first))
    )
    run = append(store, "run-1", after)
    assert run_status(run, runs=store) == whole(store, run)


def test_a_long_log_is_folded_from_its_newest_snapshot():
    store = MemoryRunStore()
    run = new_run(store)
    for number in range(SNAPSHOT_EVERY // 20 + 1):
        drafts = [EventDraft("run_progress", {"summary": f"{number}-{place}"}) for place in range(20)]
        run = append(store, "run-1", drafts)
    (snapshot,) = store.snapshots("default", ["run-1"]).values()
    assert snapshot.sequence == SNAPSHOT_EVERY
    read = []
    store.events = lambda tenant, run_id, *, after=0, limit=1000: (
        read.append(after),
        MemoryRunStore.events(store, tenant, run_id, after=after, limit=limit),
    )[1]
    status = run_status(run, runs=store)
    assert read == [SNAPSHOT_EVERY]
    assert status.last_sequence == run.head.sequence


def test_the_end_of_a_run_leaves_a_snapshot_of_all_of_it():
    store = MemoryRunStore()
    new_run(store)
    run = append(store, "run-1", [EventDraft("run_completed", {"status": "completed"})])
    (snapshot,) = store.snapshots("default", ["run-1"]).values()
    assert load_status(snapshot.data) == whole(store, run)


def test_a_snapshot_of_another_form_is_passed_over():
    store = MemoryRunStore()
    new_run(store)
    run = append(store, "run-1", [EventDraft("run_queued", {"summary": "queued"})])
    store.keep_snapshot(run, FoldSnapshot(1, "older", b"nothing that could be read"))
    assert run_status(run, runs=store).status == "queued"


def test_a_snapshot_that_cannot_be_kept_is_no_failure_of_the_change():
    class Refusing(MemoryRunStore):
        def keep_snapshot(self, run, snapshot):
            raise Unavailable("full")

    store = Refusing()
    new_run(store)
    run = append(store, "run-1", [EventDraft("run_completed", {"status": "completed"})])
    assert run.head.terminal
    assert run_status(run, runs=store).status == "completed"


def test_the_statuses_of_a_page_are_those_of_its_runs():
    store = MemoryRunStore()
    runs = [new_run(store, f"run-{number}") for number in range(3)]
    runs[1] = append(store, "run-1", [EventDraft("run_completed", {"status": "completed"})])
    assert run_statuses(runs, runs=store) == [whole(store, run) for run in runs]
    assert run_statuses([], runs=store) == []


@pytest.mark.parametrize("change", [{"iteration": 1}, {"waited_ms": 5}, {"stage": "SCAN"}])
def test_every_field_of_a_status_is_in_its_snapshot(change):
    status = replace(RunStatus(), **change)
    assert load_status(dump_status(status)) == status
