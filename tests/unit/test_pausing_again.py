"""What a paused run does when answers, attempts or engines are lost (runs-api.md 13, holmes-driver.md 2.8)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.agent_runs import stored
from tests.unit.pausing_agent import DELETE, Story

from rune_common.domain.errors import AttemptSuperseded, WaitOver
from rune_common.domain.runs import RunState
from rune_common.usecases.admit_run import admit_run
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.recover_runs import recover_runs

HOUR = 3_600_000


def test_the_newest_token_is_answered_and_a_decision_before_it_ends_the_wait() -> None:
    story = Story()
    story.ask()
    story.decide()
    with pytest.raises(WaitOver):
        story.wait()
    assert not story.wake()


def test_a_lost_answer_is_given_again_and_a_dead_machine_is_replaced() -> None:
    story = Story()
    story.ask()
    story.wait()
    story.decide()
    story.time.now += 20_000
    story.sweep()
    assert story.answers.given[-1][0] == "waiting"
    assert story.executions.ids == []
    story.answers.known = False
    story.time.now += HOUR
    story.sweep()
    assert story.executions.ids == ["r"]
    story.ask()
    assert story.driver.done == [DELETE]


@pytest.mark.parametrize("decided", [False, True])
def test_a_restarted_engine_goes_on_waiting_or_goes_on(decided: bool) -> None:
    story = Story()
    story.ask()
    story.wait()
    if decided:
        story.decide()
    recover_runs(executions=story.executions, owner="me", max_running=9, **story.ports())
    assert story.executions.ids == ["r"]
    assert admit_run("t", "r", **story.ports()).waits is not decided
    if not decided:
        story.wait()
        story.decide()
    story.ask()
    assert story.driver.done == [DELETE]
    assert story.record().state is RunState.SUCCEEDED


def test_a_leg_that_was_lost_after_it_took_the_pause_over_is_never_repeated() -> None:
    story = Story()
    story.ask()
    story.decide()
    story.ask()
    change_run("t", "r", lambda run: Proposal(replace(run, outcome=None)), **story.ports())
    with pytest.raises(AttemptSuperseded):
        story.ask()
    run = story.record("States.HeartbeatTimeout")
    assert (run.state, run.error_code) == (RunState.FAILED, "WORKER_LOST")


def test_a_leg_that_was_lost_before_it_took_the_pause_over_is_repeated() -> None:
    story = Story()
    story.ask()
    story.decide()
    change_run(
        "t", "r", lambda run: Proposal(replace(run, pause=replace(run.pause, started=True))), **story.ports()
    )
    story.record("States.HeartbeatTimeout")
    assert stored(story.store, "r").state is RunState.RUNNING
    story.ask()
    assert story.driver.done == [DELETE]
