"""The run store's contract, on every adapter: what holds when many write at once."""

from __future__ import annotations

from dataclasses import replace

from tests.integration.run_samples import (
    NOON,
    REQUEST,
    at_once,
    change_of,
    claim_for,
    moved,
    new_run,
    stored,
    whole_log,
)

from rune_common.domain.errors import IdempotencyKeyTaken, RunChanged, TooManyActiveRuns
from rune_common.domain.ports import RunFilter
from rune_common.domain.runs import RunState

THREADS = 16


def kinds_of(outcomes, error):
    """How many succeeded and how many got `error`; nothing else may have happened."""
    refused = [each for each in outcomes if isinstance(each, error)]
    others = [each for each in outcomes if isinstance(each, Exception) and not isinstance(each, error)]
    assert others == []
    return len(outcomes) - len(refused), len(refused)


def test_sixteen_creations_with_one_key_make_one_run(run_store):
    made = [new_run() for _ in range(THREADS)]

    def create(turn):
        run, events = made[turn]
        run_store.create(run, REQUEST, events, claim=claim_for(run), max_active=100)

    assert kinds_of(at_once(THREADS, create), IdempotencyKeyTaken) == (1, THREADS - 1)
    (winner,) = run_store.list("default", RunFilter(), limit=THREADS).runs
    assert run_store.claimed("default", "create_run", "key") == claim_for(winner)


def test_the_limit_of_unfinished_runs_is_exact(run_store):
    def create(_):
        run, events = new_run()
        run_store.create(run, REQUEST, events, max_active=5)

    assert kinds_of(at_once(THREADS, create), TooManyActiveRuns) == (5, THREADS - 5)
    runs = run_store.list("default", RunFilter(), limit=THREADS).runs
    assert len(runs) == 5
    for run in runs:
        moved(run_store, run, RunState.CANCELLED, finished_at=NOON)
    assert kinds_of(at_once(THREADS, create), TooManyActiveRuns) == (5, THREADS - 5)


def test_slots_are_counted_exactly_over_runs_and_threads(run_store):
    runs = [stored(run_store) for _ in range(THREADS)]

    def claim(turn):
        return run_store.claim_slot(runs[turn], owner="engine-1", max_running=3, now_ms=NOON)

    claimed = [run for run in at_once(THREADS, claim) if run is not None]
    assert len(claimed) == 3
    assert all(run.holds_slot and run.owner == "engine-1" for run in claimed)
    assert [run_store.get(run.tenant, run.run_id) for run in claimed] == claimed
    assert len(run_store.waiting("default", limit=THREADS)) == THREADS - 3
    moved(run_store, claimed[0], RunState.FAILED, finished_at=NOON, holds_slot=False)
    moved(run_store, claimed[1], RunState.FAILED, finished_at=NOON)
    again = [run for run in at_once(THREADS, claim) if run is not None]
    assert len(again) == 2


def test_one_run_takes_one_slot_however_many_claim_it(run_store):
    run = stored(run_store)

    def claim(_):
        return run_store.claim_slot(run, owner="engine-1", max_running=10, now_ms=NOON)

    assert len([each for each in at_once(THREADS, claim) if each is not None]) == 1
    assert run_store.claim_slot(run, owner="engine-2", max_running=10, now_ms=NOON) is None
    others = [stored(run_store) for _ in range(THREADS)]
    taken = [run_store.claim_slot(each, owner="e", max_running=10, now_ms=NOON) for each in others]
    assert len([each for each in taken if each is not None]) == 9


def test_a_slot_can_be_claimed_on_an_old_reading_as_long_as_the_run_waits(run_store):
    run = stored(run_store)
    fresh = change_of(run, "still waiting")
    run_store.commit(fresh)
    claimed = run_store.claim_slot(run, owner="engine-1", max_running=1, now_ms=NOON + 5)
    expected = replace(
        fresh.after, holds_slot=True, owner="engine-1", updated_at=NOON + 5, revision=fresh.after.revision + 1
    )
    assert claimed == expected
    cancelled = stored(run_store, "other")
    moved(run_store, cancelled, RunState.CANCELLED, finished_at=NOON)
    assert run_store.claim_slot(cancelled, owner="engine-1", max_running=1, now_ms=NOON) is None


def test_appends_from_sixteen_threads_make_one_gapless_log(run_store):
    run = stored(run_store)
    each = 4

    def append(turn):
        for number in range(each):
            while True:
                fresh = run_store.get(run.tenant, run.run_id)
                try:
                    run_store.commit(change_of(fresh, f"{turn}/{number}"))
                    break
                except RunChanged:
                    continue

    assert kinds_of(at_once(THREADS, append), RunChanged) == (THREADS, 0)
    log = [event.document() for event in whole_log(run_store, run)]
    assert [event["sequence"] for event in log] == list(range(1, THREADS * each + 2))
    assert all(later["prev_hash"] == earlier["hash"] for earlier, later in zip(log, log[1:], strict=False))
    summaries = {event["payload"]["summary"] for event in log[1:]}
    assert summaries == {f"{turn}/{number}" for turn in range(THREADS) for number in range(each)}


def test_of_sixteen_changes_to_one_reading_one_is_stored(run_store):
    run = stored(run_store)

    def commit(turn):
        run_store.commit(change_of(run, f"writer {turn}", owner=f"writer {turn}"))

    assert kinds_of(at_once(THREADS, commit), RunChanged) == (1, THREADS - 1)
    found = run_store.get(run.tenant, run.run_id)
    (last,) = run_store.events(run.tenant, run.run_id, after=1).events
    assert last.document()["payload"]["summary"] == found.owner


def test_equal_changes_by_two_writers_are_still_two_changes(run_store):
    run = stored(run_store)
    change = change_of(run, "the same")
    assert kinds_of(at_once(THREADS, lambda _: run_store.commit(change)), RunChanged) == (1, THREADS - 1)


def test_beats_and_changes_do_not_hinder_each_other(run_store):
    run = stored(run_store, state=RunState.RUNNING, attempt_id="a-1", heartbeat_at=NOON)

    def work(turn):
        if turn % 2:
            run_store.beat(run.tenant, run.run_id, "a-1", now_ms=NOON + turn)
            return
        while True:
            try:
                run_store.commit(change_of(run_store.get(run.tenant, run.run_id), f"turn {turn}"))
                return
            except RunChanged:
                continue

    assert kinds_of(at_once(THREADS, work), RunChanged) == (THREADS, 0)
    assert len(list(whole_log(run_store, run))) == 1 + THREADS // 2
