"""The run store's contract, on every adapter: lists, queues and what is overdue."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from tests.integration.run_samples import DAY, NOON, moved, stored

from rune_common.domain.ports import RunFilter
from rune_common.domain.runs import RunKind, RunState

MINUTE = 60_000
KINDS = (RunKind.AGENT, RunKind.COMMAND, RunKind.LOOP)
STATES = (RunState.QUEUED, RunState.RUNNING, RunState.FAILED)


def pages(store, where, *, limit, tenant="default"):
    after = None
    while True:
        page = store.list(tenant, where, limit=limit, after=after)
        yield page
        if page.next_position is None:
            return
        after = page.next_position


def listed(store, where, *, limit=7, tenant="default"):
    return [run for page in pages(store, where, limit=limit, tenant=tenant) for run in page.runs]


@pytest.fixture
def many(run_store):
    """Runs of three kinds and states in one tenant, a minute apart, and one of another tenant among them."""
    dice = random.Random(1)
    runs = [
        stored(run_store, at=NOON + turn * MINUTE, kind=dice.choice(KINDS), state=dice.choice(STATES))
        for turn in range(30)
    ]
    stored(run_store, "other", at=NOON + 10 * MINUTE)
    return runs


@pytest.mark.parametrize("limit", [1, 7, 29, 30, 31])
def test_pages_of_any_size_show_all_runs_newest_first(run_store, many, limit):
    found = list(pages(run_store, RunFilter(), limit=limit))
    assert [run for page in found for run in page.runs] == many[::-1]
    assert all(len(page.runs) == limit for page in found[:-1])
    assert 0 < len(found[-1].runs) <= limit


def test_ascending_is_the_reverse_of_descending(run_store, many):
    assert listed(run_store, RunFilter(order="asc")) == many


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("kinds", [(), (RunKind.AGENT,), (RunKind.LOOP, RunKind.COMMAND, RunKind.CHAIN)])
@pytest.mark.parametrize("states", [(), (RunState.FAILED,), (RunState.RUNNING, RunState.QUEUED)])
def test_filters_combine_and_keep_the_order(run_store, many, kinds, states, order):
    wanted = [run for run in many if (not kinds or run.kind in kinds) and (not states or run.state in states)]
    found = listed(run_store, RunFilter(states=states, kinds=kinds, order=order), limit=4)
    assert found == (wanted if order == "asc" else wanted[::-1])


def test_times_are_half_open(run_store, many):
    where = RunFilter(created_after=many[3].created_at, created_before=many[6].created_at, order="asc")
    assert listed(run_store, where, limit=2) == many[3:6]
    assert (
        listed(run_store, RunFilter(created_after=many[3].created_at + 1, order="asc"), limit=50) == many[4:]
    )
    assert listed(run_store, RunFilter(created_before=many[0].created_at)) == []
    assert listed(run_store, RunFilter(created_after=NOON + DAY, created_before=NOON)) == []


def test_a_position_beyond_the_filters_times_is_an_empty_page(run_store, many):
    where = RunFilter(created_after=many[10].created_at)
    assert run_store.list("default", where, limit=5, after=many[0].run_id).runs == ()
    early = RunFilter(created_before=many[10].created_at, order="asc")
    assert run_store.list("default", early, limit=5, after=many[20].run_id).runs == ()


def test_a_list_shows_records_as_they_are_now(run_store, many):
    run = next(run for run in many if run.state is RunState.QUEUED)
    now = moved(run_store, run, RunState.CANCELLED, finished_at=NOON)
    assert now in listed(run_store, RunFilter(states=(RunState.CANCELLED,)))
    assert run.run_id not in {run.run_id for run in listed(run_store, RunFilter(states=(RunState.QUEUED,)))}


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("states", [(), STATES])
def test_paging_visits_each_run_once_while_new_ones_are_added(run_store, many, order, states):
    seen = []
    for page in pages(run_store, RunFilter(states=states, order=order), limit=4):
        seen += [run.run_id for run in page.runs]
        if len(seen) < len(many):
            stored(run_store, at=NOON + DAY + len(seen))
    assert len(seen) == len(set(seen))
    assert {run.run_id for run in many} <= set(seen)


def test_an_empty_tenant_has_one_empty_page(run_store):
    assert run_store.list("nobody", RunFilter(), limit=5).runs == ()
    assert run_store.list("nobody", RunFilter(states=(RunState.QUEUED,)), limit=5).next_position is None


def test_waiting_are_the_queued_without_a_slot_oldest_first(run_store):
    runs = [
        stored(run_store, at=NOON + turn, kind=KINDS[turn % 3], holds_slot=turn == 1) for turn in range(5)
    ]
    stored(run_store, "other")
    moved(run_store, runs[3], RunState.CANCELLED, finished_at=NOON)
    assert run_store.waiting("default", limit=10) == [runs[0], runs[2], runs[4]]
    assert run_store.waiting("default", limit=2) == [runs[0], runs[2]]


def test_due_are_the_silent_of_all_tenants_longest_first_and_no_others(run_store):
    running = {"state": RunState.RUNNING, "attempt_id": "a-1"}
    silent = [
        stored(run_store, tenant, at=NOON, heartbeat_at=NOON + turn * 10 * MINUTE, **running)
        for turn, tenant in enumerate(["b", "a", "c"])
    ]
    beating = stored(run_store, at=NOON, heartbeat_at=NOON, **running)
    run_store.beat(beating.tenant, beating.run_id, "a-1", now_ms=NOON + 60 * MINUTE)
    ended = stored(run_store, at=NOON, heartbeat_at=NOON, **running)
    moved(run_store, ended, RunState.SUCCEEDED, finished_at=NOON)
    later = NOON + 30 * MINUTE
    assert run_store.due(now_ms=later, limit=10) == silent
    assert run_store.due(now_ms=later, limit=2) == silent[:2]
    assert run_store.due(now_ms=NOON, limit=10) == []


def test_nothing_is_due_early_and_everything_at_the_latest_two_minutes_late(run_store):
    for turn in range(12):
        stored(run_store, at=NOON + turn * 17_000, holds_slot=turn % 2 == 0)
    for now in range(NOON, NOON + 30 * MINUTE, 47_000):
        found = {run.run_id for run in run_store.due(now_ms=now, limit=100)}
        every = listed(run_store, RunFilter(), limit=100)
        assert found <= {run.run_id for run in every if run.due_at() <= now}
        assert found >= {run.run_id for run in every if run.due_at() <= now - 2 * MINUTE}


def test_unfinished_are_an_engines_own_in_any_state_but_the_last(run_store):
    mine = [
        stored(run_store, tenant, owner="engine-1", state=state)
        for tenant, state in [
            ("a", RunState.QUEUED),
            ("b", RunState.AWAITING_APPROVAL),
            ("b", RunState.CANCELLING),
        ]
    ]
    stored(run_store, owner="engine-2")
    stored(run_store)
    ended = stored(run_store, owner="engine-1")
    moved(run_store, ended, RunState.FAILED, finished_at=NOON)
    found = run_store.unfinished("engine-1", limit=10)
    assert {run.run_id for run in found} == {run.run_id for run in mine}
    assert len(run_store.unfinished("engine-1", limit=2)) == 2


def test_ids_of_one_millisecond_keep_their_order(run_store):
    runs = [stored(run_store, at=NOON) for _ in range(5)]
    ids = [run.run_id for run in listed(run_store, RunFilter(order="asc"), limit=2)]
    assert ids == [run.run_id for run in runs]
    assert all(earlier < later for earlier, later in pairwise(ids))


@pytest.mark.parametrize(
    "where",
    [
        RunFilter(mode="edit_gated"),
        RunFilter(repo="a/b"),
        RunFilter(parent_run_id="parent", order="asc"),
        RunFilter(mode="advice", repo="c/d", kinds=(RunKind.AGENT, RunKind.COMMAND)),
    ],
)
def test_what_no_index_knows_is_searched_for(run_store, where):
    runs = [
        stored(
            run_store,
            at=NOON + turn * MINUTE,
            kind=KINDS[turn % 3],
            mode=("advice", "edit_gated")[turn % 2],
            repo=("a/b", "c/d", None)[turn % 3],
            parent_run_id="parent" if turn % 5 == 0 else None,
        )
        for turn in range(20)
    ]
    wanted = [run for run in runs if where.takes(run)]
    assert wanted
    assert listed(run_store, where, limit=2) == (wanted if where.order == "asc" else wanted[::-1])
