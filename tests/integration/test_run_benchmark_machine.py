"""The state machine of benchmarks in the interpreter, with the real tasks over memory adapters (jobs-api.md 4.10)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.benchmark_world import CALLER, TASKS, World, now

from rune.local.engine import Engine, machine_arn
from rune.local.functions import ROOT
from rune_common.domain.gpu_market import MarketUnavailable
from rune_common.domain.runs import Outcome, RunKind, RunState
from rune_common.settings import Settings
from rune_common.usecases.cancel_job import cancel_job


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for path in (ROOT / "statemachines").glob("run_*.asl.json"):
        (tmp_path / path.name).write_text(json.dumps(_quick(json.loads(path.read_text()))))
    settings = Settings(
        vast_api_key="key",
        deployment_id="local-0123456789abcdef",
        vastai_poll_seconds=0,
        run_benchmark_machine_arn=machine_arn("run_benchmark"),
    )
    handlers: dict[str, Any] = {}
    engine = Engine(tmp_path, handlers)
    found = World(engine, settings)
    handlers.update({name: found.handler(name) for name in TASKS})
    yield found
    engine.close()


def _quick(machine: dict[str, Any]) -> dict[str, Any]:
    for state in machine["States"].values():
        if "pause_seconds" in state.get("Parameters", {}):
            state["Parameters"]["pause_seconds"] = 0
        for retrier in state.get("Retry", ()):
            retrier.update(IntervalSeconds=1, BackoffRate=1, MaxAttempts=1)
            retrier.pop("MaxDelaySeconds", None)
    return machine


def test_a_benchmark_is_acquired_prepared_asked_recorded_torn_down_and_ended(world: World) -> None:
    run = world.ended()
    assert (run.state, run.warnings) == (RunState.SUCCEEDED, ("no_cluster_access",))
    assert list(dict.fromkeys(world.calls)) == [
        "admit_run",
        "acquire_backend",
        "prepare_backend",
        "start_agent",
        "record_result",
        "teardown_backend",
        "record_outcome",
    ]
    assert world.market.instances == {}
    result = world.store.result("default", run.run_id)
    assert result is not None
    assert (result["answer"], result["teardown"]["verification_ok"]) == ("a", True)


def test_an_instance_is_not_asked_and_stays(world: World) -> None:
    run = world.ended(RunKind.LLM_INSTANCE)
    assert run.state is RunState.SUCCEEDED
    assert "start_agent" not in world.calls
    assert len(world.market.instances) == 1


def test_an_estimate_needs_no_backend(world: World) -> None:
    run = world.ended(RunKind.COST_ESTIMATE, max_dph=2.0)
    assert run.state is RunState.SUCCEEDED
    assert {"acquire_backend", "prepare_backend", "start_agent"}.isdisjoint(world.calls)


@pytest.mark.parametrize("step", ["acquire_backend", "prepare_backend", "start_agent", "record_result"])
def test_whatever_fails_what_was_rented_is_given_back_before_the_end(world: World, step: str) -> None:
    seen: list[int] = []
    before = world.services.runs.commit

    def commit(change: Any) -> None:
        if change.after.terminal:
            seen.append(len(world.market.instances))
        before(change)

    world.store.commit = commit  # type: ignore[method-assign]
    if step == "acquire_backend":
        world.market.boots = [["exited"]] * 3
    else:
        world.faults[step] = RuntimeError("a bug")
    run = world.ended()
    assert run.state in (RunState.FAILED, RunState.SUCCEEDED)
    assert (run.state is RunState.SUCCEEDED) == (step == "record_result")
    assert seen == [0]
    assert world.market.instances == {}


def test_an_agent_that_fails_is_final_and_its_outcome_stays(world: World) -> None:
    world.agent = [Outcome(RunState.FAILED, "AGENT_ERROR", "Agent error: no")]
    run = world.ended()
    assert (run.state, run.error) == (RunState.FAILED, "Agent error: no")
    assert world.market.instances == {}


def test_an_attempt_that_is_repeated_is_repeated_on_the_same_instance(world: World) -> None:
    world.agent = [None, Outcome(RunState.SUCCEEDED)]
    run = world.ended()
    assert (run.state, run.attempt) == (RunState.SUCCEEDED, 2)
    assert len(world.market.created) == 1
    assert world.market.instances == {}


def test_a_teardown_that_cannot_even_be_tried_leaves_its_work_to_the_reaper(world: World) -> None:
    world.faults["teardown_backend"] = RuntimeError("a bug")
    run = world.ended()
    assert (run.state, run.warnings[-1]) == (RunState.SUCCEEDED, "teardown_pending")
    world.until(lambda: not world.market.instances)
    assert world.calls[-1] == "reap_backends"


def test_a_provider_that_is_silent_for_a_while_delays_and_loses_nothing(world: World) -> None:
    left = {"search": 1, "get": 2, "destroy": 1}

    def before(name: str) -> None:
        if left.get(name, 0):
            left[name] -= 1
            raise MarketUnavailable

    world.market.before = before
    run = world.ended()
    assert run.state is RunState.SUCCEEDED
    assert len(world.market.created) == 1
    assert world.market.instances == {}


def test_a_cancel_while_the_instance_starts_ends_in_an_empty_account(world: World) -> None:
    world.market.boots = [["loading"]]
    world.submit()
    world.until(lambda: world.market.created)
    cancel_job(world.run.run_id, CALLER, runs=world.store, clock=now, redactor=world.services.redactor)
    run = world.until(lambda: world.run.terminal)
    assert run.state is RunState.CANCELLED
    assert world.market.instances == {}
