"""Chains in the interpreter that the local stack uses: the deployed machine over the real tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.scripted_driver import Driver, Folders

from rune.local.engine import Engine, machine_arn
from rune_common.adapters.agent_starters import LocalAgents
from rune_common.adapters.memory import (
    MemoryBlobStore,
    MemoryFailureWindow,
    MemoryRateLimiter,
    MemoryRunStore,
    MemoryTokenStore,
)
from rune_common.adapters.model_servers import HttpModelServers
from rune_common.adapters.stepfunctions import StepFunctionsCallbacks, StepFunctionsExecutions
from rune_common.domain.addresses import AddressPolicy
from rune_common.domain.chain import genesis
from rune_common.domain.chain_rules import ChainSpec, ChainStep
from rune_common.domain.chains import first_state
from rune_common.domain.driver_protocol import failure
from rune_common.domain.events import EventDraft, append_event
from rune_common.domain.executions import AgentTask
from rune_common.domain.ports import RunRequest
from rune_common.domain.redaction import Redactor
from rune_common.domain.runs import LogHead, Run, RunKind, RunState, Trigger, transition
from rune_common.settings import Settings
from rune_common.tasks import (
    acquire_backend,
    admit_run,
    advance_chain,
    prepare_backend,
    reap_backends,
    record_outcome,
    teardown_backend,
)
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.run_attempt import AttemptPorts
from rune_common.usecases.run_step import run_step
from rune_common.wiring import Services, system_clock

MACHINES = Path(__file__).parents[2] / "statemachines"
TASKS: dict[str, Callable[[Any, Services], dict[str, Any]]] = {
    "admit_run": admit_run.task,
    "acquire_backend": acquire_backend.task,
    "prepare_backend": prepare_backend.task,
    "advance_chain": advance_chain.task,
    "teardown_backend": teardown_backend.task,
    "record_outcome": record_outcome.task,
    "reap_backends": reap_backends.task,
}
PATIENCE_SECONDS = 60


class Stack:
    """The engine with its tasks over memory adapters, and agents in threads."""

    def __init__(self, machines: Path) -> None:
        self.driver = Driver()
        self.forgotten: set[str] = set()
        self.engine = Engine(machines, {name: self._handler(name) for name in TASKS})
        self.runs = MemoryRunStore()
        self.callbacks = StepFunctionsCallbacks(self.engine.client)
        nowhere = AddressPolicy(())
        self.services = Services(
            settings=Settings(),
            runs=self.runs,
            blobs=MemoryBlobStore(),
            tokens=MemoryTokenStore(),
            failures=MemoryFailureWindow(),
            limiter=MemoryRateLimiter(),
            executions=StepFunctionsExecutions(machine_arn("run_chain"), self.engine.client),
            agents=LocalAgents(self._work),
            callbacks=self.callbacks,
            servers=HttpModelServers(nowhere),
            backend_policy=nowhere,
            cluster_policy=nowhere,
        )

    def start(self, *steps: ChainStep, **fields: Any) -> Run:
        spec = ChainSpec(steps)
        head = LogHead("t", "r", 0, genesis("t", "r"))
        now = system_clock()
        event, head = append_event(head, EventDraft("run_queued", {}), now_ms=now, redactor=Redactor())
        run = Run("t", "r", RunKind.CHAIN, RunState.QUEUED, now, now, "me", head, model="m", **fields)
        request = RunRequest({"chain": spec.document(), "model": "m"})
        self.runs.create(run, request, [event], chain=first_state(spec))
        self.services.executions.start(run)
        return run

    def cancel(self) -> None:
        def decide(run: Run) -> Proposal:
            return Proposal(replace(run, state=transition(run.state, Trigger.CANCEL)))

        change_run("t", "r", decide, runs=self.runs, clock=system_clock, redactor=Redactor())

    def until(self, reached: Callable[[Run, dict[str, str]], bool]) -> tuple[Run, dict[str, str]]:
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            run, chain = self.runs.get("t", "r"), self.runs.chain("t", "r")
            assert run
            assert chain
            words = {step.name: str(step.state) for step in chain.steps}
            if reached(run, words):
                return run, words
            time.sleep(0.02)
        raise AssertionError(f"waited in vain: {run} {words}")

    def end(self) -> tuple[Run, dict[str, str]]:
        return self.until(lambda run, _: run.terminal)

    def _handler(self, name: str) -> Callable[[dict[str, Any], object], dict[str, Any]]:
        return lambda event, context: TASKS[name](event, self.services)

    def _work(self, task: AgentTask) -> None:
        if task.step_id in self.forgotten:
            self.forgotten.remove(task.step_id)
            return
        run_step(
            task,
            ports=AttemptPorts(
                runs=self.runs,
                blobs=self.services.blobs,
                driver=self.driver,
                callbacks=self.callbacks,
                workspaces=Folders(),
                clock=system_clock,
                redactor_for=Redactor,
                prices={},
                poll_seconds=0.05,
            ),
        )


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stack]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    # The engine sets it; this puts back what was there before.
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "")
    text = (MACHINES / "run_chain.asl.json").read_text()
    (tmp_path / "run_chain.asl.json").write_text(text.replace('"TimeoutSeconds": 30', '"TimeoutSeconds": 1'))
    found = Stack(tmp_path)
    yield found
    found.engine.close()


def step(name: str, *dependencies: str) -> ChainStep:
    return ChainStep(name, f"q-{name}", dependencies=dependencies)


def test_a_failed_step_skips_what_needs_it_and_the_rest_goes_on(stack: Stack) -> None:
    stack.driver.says["q-a"] = failure("agent_error", "it broke")
    stack.start(step("a"), step("b", "a"), step("d", "b"), step("c"))
    run, words = stack.end()
    assert words == {"a": "failed", "b": "skipped", "d": "skipped", "c": "success"}
    assert (run.state, run.error_code) == (RunState.FAILED, "CHAIN_STEP_FAILED")
    result = stack.runs.result("t", "r")
    assert result
    assert result["steps"]["c"] == {"status": "success", "answer": "[q-c]"}


def test_more_steps_than_may_run_at_once_all_succeed(stack: Stack) -> None:
    stack.start(*(step(f"s{n}") for n in range(8)), step("last", "s0", "s7"))
    run, words = stack.end()
    assert set(words.values()) == {"success"}
    assert run.state is RunState.SUCCEEDED
    assert len(stack.driver.asked) == 9


def test_a_cancel_stops_a_running_step(stack: Stack) -> None:
    stack.driver.holds.add("q-a")
    stack.start(step("a"), step("b", "a"))
    stack.until(lambda run, words: words["a"] == "running" and bool(stack.driver.asked))
    stack.cancel()
    run, words = stack.end()
    assert (run.state, words) == (RunState.CANCELLED, {"a": "failed", "b": "skipped"})


def test_a_step_whose_worker_never_came_is_found_and_started_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rune_common.usecases.advance_chain.HEARTBEAT_PATIENCE_MS", 500)
    stack.forgotten.add("a")
    stack.start(step("a"), step("b", "a"))
    run, words = stack.end()
    assert (run.state, words) == (RunState.SUCCEEDED, {"a": "success", "b": "success"})
