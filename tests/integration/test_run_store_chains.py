"""The run store's contract for chains, on every adapter: the steps' state lives and dies with its run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.run_samples import NOON, REQUEST, change_of, new_run, stored

from rune_common.domain.chain_rules import OnFailure
from rune_common.domain.chains import ChainState, StepRecord, StepState
from rune_common.domain.errors import RunChanged
from rune_common.domain.runs import Leg, Run, RunKind, RunState

FULL = ChainState(
    (
        StepRecord("a", "holmes"),
        StepRecord("b", "other", ("a",), StepState.RUNNING, NOON, model="m", attempts=2),
        StepRecord(
            "c", "holmes", ("a", "b"), StepState.FAILED, NOON, NOON + 1, "ü 😀", attempts=1, logged=True
        ),
    ),
    OnFailure.STOP,
    "token",
)


def chained(run_store, chain: ChainState = FULL, tenant: str = "default") -> Run:
    run, events = new_run(tenant, kind=RunKind.CHAIN)
    run_store.create(run, REQUEST, events, chain=chain)
    return run


def test_the_steps_come_back_with_every_field(run_store):
    run = chained(run_store)
    assert run_store.chain("default", run.run_id) == FULL


def test_a_run_without_steps_has_none_and_another_tenants_are_not_seen(run_store):
    assert run_store.chain("default", stored(run_store).run_id) is None
    run = chained(run_store, tenant="ours")
    assert run_store.chain("theirs", run.run_id) is None


def test_the_steps_change_with_the_run_or_not_at_all(run_store):
    run = chained(run_store)
    later = replace(FULL, token="next")
    change = replace(change_of(run, "moved"), chain=later)
    run_store.commit(change)
    assert run_store.chain("default", run.run_id) == later
    with pytest.raises(RunChanged):
        run_store.commit(replace(change_of(run, "too late"), chain=FULL))
    assert run_store.chain("default", run.run_id) == later
    run_store.commit(change_of(change.after, "said"))
    assert run_store.chain("default", run.run_id) == later


def test_the_steps_outlive_the_run(run_store):
    run = chained(run_store)
    ended = change_of(run, "end", state=RunState.SUCCEEDED, finished_at=NOON)
    run_store.commit(replace(ended, chain=FULL, forget_request=True))
    assert run_store.chain("default", run.run_id) == FULL


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(StepState), min_size=1, max_size=50), st.integers(0, 2**50), st.booleans())
def test_any_steps_come_back_exactly(run_store, states, at, logged):
    steps = [
        StepRecord(f"s{number}", "holmes", (), state, at or None, None, logged=logged)
        for number, state in enumerate(states)
    ]
    run = chained(run_store, ChainState(tuple(steps)))
    assert run_store.chain("default", run.run_id) == ChainState(tuple(steps))


def test_legs_come_back_with_every_field(run_store):
    legs = (Leg("a", "1", 0), Leg("b", "2", NOON, claimed=True, model_call_begun=True, stopping="stopped"))
    run = stored(run_store, legs=legs)
    assert run_store.get("default", run.run_id).legs == legs
