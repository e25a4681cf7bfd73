"""The run store's contract, on every adapter: records, logs, requests and results."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.run_samples import (
    DAY,
    NOON,
    REQUEST,
    change_of,
    claim_for,
    moved,
    new_run,
    run_id_at,
    stored,
    whole_log,
)

from rune_common.domain.errors import (
    AttemptSuperseded,
    IdempotencyKeyTaken,
    RunChanged,
    RunNotFound,
    TooManyActiveRuns,
)
from rune_common.domain.ports import RunRequest
from rune_common.domain.rentals import Rental
from rune_common.domain.runs import (
    Leg,
    LogHead,
    Outcome,
    OutputPlace,
    Pause,
    PhaseRecord,
    ReportedWork,
    Run,
    RunKind,
    RunState,
    UsageTotals,
)

RENTAL = Rental("rune/deployment/job/1790000000", 7, 300_000, NOON, "2026-11-24", "job", 5_000_000)

RICH = {
    "kind": RunKind.BENCHMARK,
    "state": RunState.AWAITING_APPROVAL,
    "message": "pulling model (42 %)",
    "revision": 7,
    "model": "llama3.1:8b",
    "agent": "other",
    "backend_type": "openai",
    "timeout_seconds": 10,
    "started_at": NOON + 1,
    "finished_at": NOON + 2,
    "phase": "warming up — ü 😀",
    "percent": 42.1,
    "holds_slot": True,
    "owner": "engine-1",
    "attempt": 3,
    "attempt_id": "a-3",
    "attempt_claimed": True,
    "heartbeat_at": NOON + 3,
    "model_call_begun": True,
    "outcome": Outcome(RunState.FAILED, "LLM_UNREACHABLE", "the model does not answer", "timeout"),
    "has_result": True,
    "error": "text",
    "error_code": "AGENT_ERROR",
    "warnings": ("no_cluster_access", "agent_substituted"),
    "redactions": 5,
    "usage": UsageTotals(1, 2, 3, 4, 2**53 + 1, True),
    "expires_at": NOON + DAY,
    "backend_url": "http://127.0.0.1:11434",
    "phase_since": NOON + 4,
    "phases": (PhaseRecord("admit", "ok", 12), PhaseRecord("ask", "error", 0)),
    "rentals": (RENTAL,),
    "legs": (Leg("step", "a-4", NOON + 5, claimed=True, stopping="cancelled"),),
    "mode": "edit_gated",
    "repo": "owner/name",
    "parent_run_id": "another",
    "stop_by": NOON + 6,
    "score": 0.75,
    "pause": Pause("p-1", NOON + 7, NOON + 9, NOON + 8, "token", started=True),
    "pauses": 2,
    "waited_ms": 4000,
    "reported": ReportedWork(
        3, (("c-1", "kubectl"), ("c-2", "")), ("s-1",), (OutputPlace("s-1", "stdout", 8192),)
    ),
}


def test_a_run_comes_back_with_every_field(run_store):
    run, events = new_run(**RICH)
    untouched = {field.name for field in dataclasses.fields(Run)} - set(RICH)
    assert untouched == {"tenant", "run_id", "created_at", "updated_at", "created_by", "head"}
    run_store.create(run, REQUEST, events)
    assert run_store.get(run.tenant, run.run_id) == run


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"percent": 0.0, "started_at": 0, "error": "", "phase": "", "message": "", "agent": ""},
        {"percent": 100.0, "usage": UsageTotals(cost_micro_usd=0), "outcome": Outcome(RunState.SUCCEEDED)},
        {"outcome": Outcome(RunState.CANCELLED, "", "", ""), "timeout_seconds": 0},
        {"percent": 1e-120},
    ],
)
def test_zero_empty_and_absent_stay_apart(run_store, fields):
    run = stored(run_store, **fields)
    assert run_store.get(run.tenant, run.run_id) == run


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    percent=st.none() | st.floats(0, 100, allow_subnormal=False).filter(lambda x: x == 0 or x > 1e-100),
    tokens=st.integers(0, 2**60),
)
def test_any_text_and_number_comes_back_exactly(run_store, text, percent, tokens):
    run = stored(run_store, error=text, percent=percent, usage=UsageTotals(input_tokens=tokens))
    assert run_store.get(run.tenant, run.run_id) == run


def test_an_unknown_run_has_nothing(run_store):
    run_id = run_id_at(NOON)
    assert run_store.get("default", run_id) is None
    assert run_store.request("default", run_id) is None
    assert run_store.result("default", run_id) is None
    assert run_store.events("default", run_id).events == ()
    assert run_store.claimed("default", "create_run", "key") is None
    with pytest.raises(RunNotFound):
        run_store.beat("default", run_id, "a-1", now_ms=NOON)
    with pytest.raises(RunChanged):
        run_store.commit(change_of(new_run()[0], "lost"))


def test_another_tenant_sees_nothing_of_a_run(run_store):
    run, events = new_run("ours", attempt_id="a-1")
    run_store.create(run, REQUEST, events, claim=claim_for(run))
    change = replace(change_of(run, "said", has_result=True), result={"answer": "42"})
    run_store.commit(change)
    assert run_store.get("theirs", run.run_id) is None
    assert run_store.request("theirs", run.run_id) is None
    assert run_store.result("theirs", run.run_id) is None
    assert run_store.results("theirs", [run.run_id]) == {}
    assert run_store.events("theirs", run.run_id).events == ()
    assert run_store.claimed("theirs", "create_run", "key") is None
    with pytest.raises(RunNotFound):
        run_store.beat("theirs", run.run_id, "a-1", now_ms=NOON)


def test_a_run_id_that_exists_is_not_overwritten(run_store):
    run = stored(run_store, model="first")
    with pytest.raises(RunChanged):
        run_store.create(replace(run, model="second"), REQUEST, ())
    assert run_store.get(run.tenant, run.run_id) == run


def test_a_used_idempotency_key_names_its_winner_and_stores_nothing_else(run_store):
    first, events = new_run()
    run_store.create(first, REQUEST, events, claim=claim_for(first))
    second, later = new_run()
    with pytest.raises(IdempotencyKeyTaken):
        run_store.create(second, REQUEST, later, claim=claim_for(second, body="c" * 64))
    assert run_store.claimed("default", "create_run", "key") == claim_for(first)
    assert run_store.get(second.tenant, second.run_id) is None
    assert run_store.events(second.tenant, second.run_id).events == ()
    assert run_store.request(second.tenant, second.run_id) is None


@pytest.mark.parametrize("other", [{"operation": "create_chain"}, {"key": "other"}, {"tenant": "other"}])
def test_a_key_is_free_in_another_scope(run_store, other):
    for scope in ({}, other):
        run, events = new_run(scope.get("tenant", "default"))
        claim = claim_for(run, scope.get("key", "key"), operation=scope.get("operation", "create_run"))
        run_store.create(run, REQUEST, events, claim=claim)
        assert run_store.claimed(claim.tenant, claim.operation, claim.key) == claim


def test_an_expired_key_may_be_used_again_before_it_is_deleted(run_store):
    first, events = new_run()
    run_store.create(first, REQUEST, events, claim=claim_for(first))
    second, later = new_run(at=NOON + 90 * DAY)
    run_store.create(second, REQUEST, later, claim=claim_for(second))
    assert run_store.claimed("default", "create_run", "key") == claim_for(second)


def test_a_tenant_has_at_most_so_many_unfinished_runs_and_room_again_after_an_end(run_store):
    for _ in range(2):
        run, events = new_run()
        run_store.create(run, REQUEST, events, max_active=2)
    with pytest.raises(TooManyActiveRuns):
        run_store.create(*_arguments(new_run()), max_active=2)
    run_store.create(*_arguments(new_run("other")), max_active=2)
    moved(run_store, run, RunState.CANCELLED, finished_at=NOON)
    run_store.create(*_arguments(new_run()), max_active=2)


def test_a_change_writes_record_log_and_result_together(run_store):
    run = stored(run_store)
    change = change_of(run, "one", "two", state=RunState.RUNNING, has_result=True)
    run_store.commit(
        replace(change, result={"answer": "42", "cost": None, "deep": {"list": [1.5, "ü", "\ud800"]}})
    )
    assert run_store.get(run.tenant, run.run_id) == change.after
    log = list(whole_log(run_store, run))
    assert [event.sequence for event in log] == [1, 2, 3]
    assert log[1:] == list(change.events)
    assert run_store.result(run.tenant, run.run_id)["deep"] == {"list": [1.5, "ü", "\ud800"]}


def test_a_change_that_was_decided_on_an_old_record_leaves_no_trace(run_store):
    run = stored(run_store)
    moved(run_store, run, RunState.RUNNING)
    late = replace(
        change_of(run, "late", state=RunState.CANCELLED), result={"late": True}, forget_request=True
    )
    with pytest.raises(RunChanged):
        run_store.commit(late)
    assert run_store.get(run.tenant, run.run_id).state is RunState.RUNNING
    assert len(list(whole_log(run_store, run))) == 2
    assert run_store.result(run.tenant, run.run_id) is None
    assert run_store.request(run.tenant, run.run_id) == REQUEST


def test_a_producer_key_counts_once_per_run(run_store):
    run, other = stored(run_store), stored(run_store)
    change = change_of(run, "one", keys=("k-1", "k-2"))
    run_store.commit(change)
    with pytest.raises(RunChanged):
        run_store.commit(change_of(change.after, "again", keys=("k-3", "k-2")))
    run_store.commit(change_of(change.after, "fresh", keys=("k-3",)))
    run_store.commit(change_of(other, "elsewhere", keys=("k-1",)))


def test_the_largest_append_is_one_change(run_store):
    run = stored(run_store)
    texts = [f"{number} " + "x" * 200 for number in range(40)]
    change = change_of(
        run, *texts, keys=tuple(f"k-{number}" for number in range(40)), state=RunState.SUCCEEDED
    )
    run_store.commit(replace(change, result={"answer": "y"}, forget_request=True))
    assert [event.document()["payload"]["summary"] for event in whole_log(run_store, run)][1:] == texts


def test_events_are_paged_without_gaps_for_every_page_size(run_store):
    run = stored(run_store)
    run_store.commit(change_of(run, *(f"event {number}" for number in range(9))))
    log = list(whole_log(run_store, run))
    for page in (1, 3, 5, 10, 11):
        assert list(whole_log(run_store, run, page=page)) == log
    exact = run_store.events(run.tenant, run.run_id, after=0, limit=10)
    assert (len(exact.events), exact.more) == (10, False)
    assert run_store.events(run.tenant, run.run_id, after=9, limit=5).events == (log[9],)
    assert run_store.events(run.tenant, run.run_id, after=10) == run_store.events(
        run.tenant, run.run_id, after=99
    )


def test_a_stored_line_comes_back_byte_for_byte(run_store):
    run = stored(run_store)
    change = change_of(run, 'ü 😀 \u2028 \x00 \x7f "quoted" \\ / \t end')
    run_store.commit(change)
    assert run_store.events(run.tenant, run.run_id, after=1).events[0].body == change.events[0].body


def test_a_beat_moves_the_heartbeat_only_and_never_loses_to_a_change(run_store):
    run = stored(run_store, state=RunState.RUNNING, attempt_id="a-1", heartbeat_at=NOON)
    beaten = run_store.beat(run.tenant, run.run_id, "a-1", now_ms=NOON + 30_000)
    assert beaten == replace(run, heartbeat_at=NOON + 30_000)
    assert run_store.get(run.tenant, run.run_id) == beaten
    run_store.commit(change_of(run, "decided before the beat"))


def test_a_beat_of_an_older_attempt_is_refused(run_store):
    run = stored(run_store, state=RunState.RUNNING, attempt_id="a-2")
    with pytest.raises(AttemptSuperseded):
        run_store.beat(run.tenant, run.run_id, "a-1", now_ms=NOON)
    assert run_store.get(run.tenant, run.run_id) == run


def test_a_beat_after_the_end_changes_nothing_and_tells_that_it_ended(run_store):
    run = stored(run_store, state=RunState.RUNNING, attempt_id="a-1")
    ended = moved(run_store, run, RunState.FAILED, finished_at=NOON)
    assert run_store.beat(run.tenant, run.run_id, "a-1", now_ms=NOON + 1) == ended
    assert run_store.get(run.tenant, run.run_id) == ended


def test_a_request_is_whole_until_it_is_forgotten(run_store):
    request = RunRequest(
        {"question": "ü?", "budget": {"max_cost_usd": 0.1}}, {"kubeconfig": "apiVersion: v1\n"}
    )
    run, events = new_run()
    run_store.create(run, request, events)
    assert run_store.request(run.tenant, run.run_id) == request
    run_store.commit(replace(change_of(run, "end", state=RunState.CANCELLED), forget_request=True))
    assert run_store.request(run.tenant, run.run_id) is None


def test_results_of_many_runs_come_by_their_ids(run_store):
    runs = [stored(run_store) for _ in range(3)]
    for number, run in enumerate(runs[:2]):
        run_store.commit(replace(change_of(run, "done"), result={"number": number}))
    asked = [run.run_id for run in runs] + [runs[0].run_id, run_id_at(NOON)]
    assert run_store.results("default", asked) == {
        runs[0].run_id: {"number": 0},
        runs[1].run_id: {"number": 1},
    }
    assert run_store.results("default", []) == {}


def test_a_log_head_belongs_to_its_run(run_store):
    run = stored(run_store)
    assert run_store.get(run.tenant, run.run_id).head == LogHead(
        run.tenant, run.run_id, 1, run.head.last_hash, run.head.last_ts
    )


def _arguments(made):
    run, events = made
    return run, REQUEST, events
