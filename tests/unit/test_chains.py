"""A chain's schedule: properties that hold for every graph and every order of events (jobs-api.md 8)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rune_common.domain.chain_rules import ChainSpec, ChainStep, OnFailure, check_chain
from rune_common.domain.chains import (
    MAX_AT_ONCE,
    ChainState,
    StepState,
    close,
    ends_to_log,
    first_state,
    joined_answer,
    next_steps,
    overall_status,
    return_step,
    settle,
    start_step,
    step_results,
    with_ends_logged,
)
from rune_common.domain.errors import IllegalTransition

NOW = 1_000
OK, BAD = None, "broken"


def chain(*steps: tuple[str, str], on_failure: OnFailure = OnFailure.CONTINUE) -> ChainState:
    """Steps as (name, letters of what it depends on)."""
    made = (ChainStep(name, "why?", dependencies=tuple(needs)) for name, needs in steps)
    return first_state(ChainSpec(tuple(made), on_failure=on_failure))


def run(state: ChainState, name: str, end: str | None) -> ChainState:
    return settle(start_step(state, name, now_ms=NOW), name, end, now_ms=NOW)


def words(state: ChainState) -> dict[str, str]:
    return {step.name: str(step.state) for step in state.steps}


def test_acceptance_26_in_the_pure_schedule() -> None:
    state = chain(("a", ""), ("b", "a"), ("d", "b"), ("c", ""))
    assert next_steps(state) == ("a", "c")
    state = run(run(state, "a", BAD), "c", OK)
    assert words(state) == {"a": "failed", "b": "skipped", "d": "skipped", "c": "success"}
    assert overall_status(state) == "failed"


def test_with_stop_nothing_new_starts_and_what_runs_is_waited_for() -> None:
    state = chain(("a", ""), ("b", ""), ("c", "b"), ("d", ""), on_failure=OnFailure.STOP)
    state = run(start_step(state, "b", now_ms=NOW), "a", BAD)
    assert words(state) == {"a": "failed", "b": "running", "c": "skipped", "d": "skipped"}
    assert (state.stopping, next_steps(state), state.settled) == (True, (), False)


def test_a_late_success_after_a_stop_releases_nothing() -> None:
    state = chain(("a", ""), ("b", ""), ("c", "b"), on_failure=OnFailure.STOP)
    state = settle(run(start_step(state, "b", now_ms=NOW), "a", BAD), "b", OK, now_ms=NOW)
    assert words(state) == {"a": "failed", "b": "success", "c": "skipped"}


def test_closing_fails_what_runs_and_skips_what_waits() -> None:
    state = close(start_step(chain(("a", ""), ("b", "a")), "a", now_ms=NOW), "cancelled", now_ms=NOW)
    assert step_results(state, {}) == {
        "a": {"status": "failed", "error": "cancelled"},
        "b": {"status": "skipped"},
    }


def test_overall_words() -> None:
    state = chain(("a", ""), ("b", "a"))
    assert overall_status(ChainState()) == "pending"
    assert overall_status(state) == "pending"
    assert overall_status(start_step(state, "a", now_ms=NOW)) == "running"
    assert overall_status(run(state, "a", OK)) == "running"
    assert overall_status(run(run(state, "a", OK), "b", OK)) == "success"
    assert overall_status(close(state, "cancelled", now_ms=NOW)) == "skipped"


def test_the_answer_is_that_of_the_last_steps() -> None:
    state = run(run(run(chain(("a", ""), ("b", "a"), ("c", "a")), "a", OK), "b", OK), "c", OK)
    answers = {"a": "first", "b": "left", "c": "right"}
    assert joined_answer(state, answers) == "left\n\nright"


def test_a_returned_step_starts_again_and_keeps_its_first_start() -> None:
    state = start_step(chain(("a", "")), "a", now_ms=NOW)
    again = start_step(return_step(state, "a", now_ms=NOW), "a", now_ms=NOW + 5)
    assert (again.step("a").attempts, again.step("a").started_at) == (2, NOW)


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_step_that_is_not_running_does_not_end(name: str) -> None:
    state = run(chain(("a", ""), ("b", "a")), "a", OK)
    with pytest.raises(IllegalTransition):
        settle(state, name, OK, now_ms=NOW)


def test_a_step_whose_dependencies_are_open_does_not_start() -> None:
    with pytest.raises(IllegalTransition):
        start_step(chain(("a", ""), ("b", "a")), "b", now_ms=NOW)


@st.composite
def specs(draw: st.DrawFn) -> ChainSpec:
    """Random acyclic graphs, their steps in any order."""
    size = draw(st.integers(1, 12))
    steps = []
    for n in range(size):
        before = draw(st.sets(st.integers(0, n - 1), max_size=4)) if n else set()
        steps.append(ChainStep(f"s{n}", "why?", dependencies=tuple(f"s{m}" for m in sorted(before))))
    return ChainSpec(tuple(draw(st.permutations(steps))), on_failure=draw(st.sampled_from(OnFailure)))


@dataclass
class Played:
    """What was seen while a chain was carried out to its end."""

    state: ChainState
    ended: list[str] = field(default_factory=list)


def play(spec: ChainSpec, data: st.DataObject) -> Played:
    """Start everything that is ready, then let any running step end in any way, until nothing is left."""
    played = Played(first_state(spec))
    while not played.state.settled:
        for name in next_steps(played.state):
            needs = played.state.step(name).dependencies
            assert all(played.state.step(each).state is StepState.SUCCEEDED for each in needs)
            played.state = start_step(played.state, name, now_ms=NOW)
        assert 1 <= len(played.state.running) <= MAX_AT_ONCE
        name = data.draw(st.sampled_from([step.name for step in played.state.running]))
        if data.draw(st.integers(0, 9)) == 9:
            played.state = return_step(played.state, name, now_ms=NOW)
        else:
            end = BAD if data.draw(st.booleans()) else OK
            played.state = settle(played.state, name, end, now_ms=NOW)
        new = [step.name for step in ends_to_log(played.state)]
        played.ended += new
        played.state = with_ends_logged(played.state, new)
    return played


@given(specs(), st.data())
def test_every_step_ends_exactly_once(spec: ChainSpec, data: st.DataObject) -> None:
    check_chain(spec)
    assert sorted(play(spec, data).ended) == sorted(step.name for step in spec.steps)


@given(specs(), st.data())
def test_a_step_is_skipped_exactly_if_something_it_needs_did_not_succeed(
    spec: ChainSpec, data: st.DataObject
) -> None:
    state = play(ChainSpec(spec.steps), data).state
    for step in state.steps:
        lacking = any(state.step(each).state is not StepState.SUCCEEDED for each in step.dependencies)
        assert (step.state is StepState.SKIPPED) == lacking


@given(specs(), st.data())
def test_with_stop_what_never_started_is_skipped_and_the_rest_is_not(
    spec: ChainSpec, data: st.DataObject
) -> None:
    state = play(ChainSpec(spec.steps, on_failure=OnFailure.STOP), data).state
    for step in state.steps:
        assert step.attempts or step.state is StepState.SKIPPED
    assert overall_status(state) == ("success" if state.succeeded else "failed")
