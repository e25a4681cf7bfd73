"""A chain carried out by its use cases, with drivers that do as they are told (jobs-api.md 8)."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.chain_world import World, step

from rune_common.domain.chain_rules import OnFailure
from rune_common.domain.chains import overall_status
from rune_common.domain.driver_protocol import failure
from rune_common.domain.rentals import Rental
from rune_common.domain.runs import RunState


def acceptance_26(**options: Any) -> World:
    world = World(step("a"), step("b", "a"), step("d", "b"), step("c"), **options)
    world.driver.says["q-a"] = failure("agent_error", "it broke")
    return world


def test_answers_reach_the_questions_of_direct_dependants() -> None:
    world = World(
        step("a", question="find {what}"), step("b", "a", question="explain {a}", model="big"), what="it"
    )
    world.to_the_end()
    assert [params["question"] for params in world.driver.asked] == ["find it", "explain [find it]"]
    assert [params["model"] for params in world.driver.asked] == ["m", "big"]
    run = world.record()
    assert (run.state, run.error) == (RunState.SUCCEEDED, None)
    assert world.result["answer"] == "[explain [find it]]"
    assert world.result["steps"]["a"] == {"status": "success", "answer": "[find it]"}
    assert world.result["overall_status"] == "success"


def test_the_runs_usage_is_the_sum_over_its_steps() -> None:
    world = World(step("a"), step("b"), step("c", "a", "b"))
    world.to_the_end()
    run = world.record()
    assert (run.usage.input_tokens, run.usage.output_tokens, run.usage.llm_calls) == (30, 15, 3)
    assert world.result["token_usage"] == {"prompt_tokens": 30, "completion_tokens": 15, "total_tokens": 45}
    assert world.result["telemetry"]["tokens"]["total"] == 45
    assert world.result["metadata"]["driver_version"] == "0.45.0"
    assert world.result["metadata"]["warnings"] == ["no_cluster_access"]
    assert sum(event["token_usage"] for event in world.log()) == 45


def test_acceptance_26() -> None:
    world = acceptance_26()
    world.to_the_end()
    run = world.record()
    assert world.words() == {"a": "failed", "b": "skipped", "d": "skipped", "c": "success"}
    assert (run.state, run.error_code) == (RunState.FAILED, "CHAIN_STEP_FAILED")
    assert world.result["overall_status"] == "failed"
    assert world.result["steps"]["a"] == {"status": "failed", "error": "Agent error: it broke"}
    assert world.result["answer"] == "[q-c]"
    ends = [each["payload"] for each in world.log() if each["type"] == "step_completed"]
    assert sorted((end["step_id"], end["state"]) for end in ends) == [
        ("a", "failed"),
        ("b", "skipped"),
        ("c", "succeeded"),
        ("d", "skipped"),
    ]
    assert {end["span"]["name"] for end in ends} == {"chain.step"}
    assert world.log()[-1]["type"] == "run_failed"
    assert world.store.request("t", "r") is None


def test_at_most_five_run_at_once_and_a_free_place_is_taken_at_once() -> None:
    world = World(*(step(f"s{n}") for n in range(7)))
    started = world.advance()
    assert len(started) == 5
    assert world.advance() == []
    world.work(started[0])
    assert world.callbacks.answers == [("token-2", {"done": False, "pause_seconds": 0})]
    assert [task.step_id for task in world.advance()] == ["s5"]


def test_the_same_visit_twice_starts_nothing_new() -> None:
    world = World(step("a"))
    first = world.advance()
    world._visits -= 1
    again = world.advance()
    assert again == first
    world.work(first[0])
    world.work(again[0])
    assert len(world.driver.asked) == 1


def test_with_stop_running_steps_are_stopped_and_pending_ones_skipped() -> None:
    world = acceptance_26(on_failure=OnFailure.STOP)
    world.driver.holds.add("q-c")
    tasks = {task.step_id: task for task in world.advance()}
    running = threading.Thread(target=world.work, args=(tasks["c"],))
    running.start()
    world.work(tasks["a"])
    assert world.words() == {"a": "failed", "b": "skipped", "d": "skipped", "c": "running"}
    world.advance()
    running.join(10)
    assert not running.is_alive()
    assert world.chain.step("c").error == "stopped"
    world.to_the_end()
    assert world.record().error_code == "CHAIN_STEP_FAILED"
    world.log()


def test_a_cancel_stops_what_runs_and_keeps_what_was_answered() -> None:
    world = World(step("a"), step("b"), step("c", "b"))
    world.driver.holds.add("q-b")
    tasks = {task.step_id: task for task in world.advance()}
    world.work(tasks["a"])
    running = threading.Thread(target=world.work, args=(tasks["b"],))
    running.start()
    world.cancel()
    running.join(10)
    assert not running.is_alive()
    world.to_the_end()
    run = world.record()
    assert run.state is RunState.CANCELLED
    assert world.result["steps"] == {
        "a": {"status": "success", "answer": "[q-a]"},
        "b": {"status": "failed", "error": "cancelled"},
        "c": {"status": "skipped"},
    }
    states = {
        each["step_id"]: each["payload"]["state"] for each in world.log() if each["type"] == "step_completed"
    }
    assert states == {"a": "succeeded", "b": "cancelled", "c": "skipped"}


def test_a_silent_step_is_started_again_before_its_first_model_call_and_fails_after_it() -> None:
    world = World(step("a"), step("b", "a"))
    (lost,) = world.advance()
    world.now += 120_000
    (second,) = world.advance()
    assert second.attempt_id != lost.attempt_id
    world.work(lost)
    assert world.driver.asked == []
    world.change(
        lambda run: replace(run, legs=tuple(replace(leg, model_call_begun=True) for leg in run.legs))
    )
    world.now += 120_000
    world.to_the_end()
    assert world.chain.step("a").error == "worker lost"
    assert world.words() == {"a": "failed", "b": "skipped"}
    world.record()
    world.log()


def test_a_transient_failure_is_tried_again_after_a_pause_that_doubles() -> None:
    world = World(step("a"))
    world.driver.says["q-a"] = failure("backend_unreachable", "connection refused")
    for pause in (10, 20, 0):
        (task,) = world.advance()
        world.work(task)
        assert world.callbacks.answers[-1][1] == {"done": False, "pause_seconds": pause}
    assert world.chain.step("a").error == "Agent error: connection refused"


def test_the_runs_deadline_ends_the_chain() -> None:
    world = World(step("a"), step("b", "a"))
    (task,) = world.advance()
    world.driver.says["q-a"] = failure("deadline_exceeded", "driver timed out")
    world.change(lambda run: replace(run, timeout_seconds=10))
    world.now += 10_000
    world.work(task)
    world.to_the_end()
    run = world.record()
    assert (run.error_code, run.error) == ("RUN_TIMEOUT", "execution timeout exceeded")
    assert world.words() == {"a": "failed", "b": "skipped"}
    assert world.chain.step("a").error == "execution timeout exceeded"


def test_a_chain_whose_run_is_lost_is_closed() -> None:
    world = World(step("a"), step("b", "a"))
    (task,) = world.advance()
    world.change(lambda run: replace(run, model_call_begun=True))
    run = world.record("States.HeartbeatTimeout")
    assert (run.state, run.error_code) == (RunState.FAILED, "WORKER_LOST")
    assert world.words() == {"a": "failed", "b": "skipped"}
    assert overall_status(world.chain) == "failed"
    world.work(task)
    assert world.driver.asked == []
    world.log()


@pytest.mark.parametrize("count", [1, 50])
def test_every_end_is_logged_once_however_many_come_at_once(count: int) -> None:
    world = World(step("first"), *(step(f"s{n}", "first") for n in range(count - 1)))
    world.driver.says["q-first"] = failure("agent_error", "it broke")
    world.to_the_end()
    world.record()
    ends = [each["step_id"] for each in world.log() if each["type"] == "step_completed"]
    assert len(ends) == len(set(ends)) == count


def test_a_chain_whose_instance_has_cost_what_it_may_is_stopped() -> None:
    world = World(step("a"), step("b", "a"))
    world.driver.holds.add("q-a")
    (task,) = world.advance()
    running = threading.Thread(target=world.work, args=(task,))
    running.start()
    rental = Rental(
        "rune/d/r/1", 1, 3_600_000_000, 1_000, "2026-11-24", "r", 1_000_000, contract_id="7", created_at=1_000
    )
    world.change(lambda run: replace(run, rentals=(rental,)))
    world.advance()
    running.join(10)
    assert not running.is_alive()
    world.to_the_end()
    assert world.words() == {"a": "failed", "b": "skipped"}
    run = world.run
    assert run.outcome
    assert run.outcome.error_code == "SPEND_LIMIT_EXCEEDED"
    assert world.result["steps"]["a"]["error"] == run.outcome.error
