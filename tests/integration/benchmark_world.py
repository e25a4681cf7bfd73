"""A benchmark in the interpreter: the real tasks over memory adapters, and an agent that answers as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rune.local.engine import Engine, machine_arn
from rune_common.adapters.memory import (
    MemoryBlobStore,
    MemoryFailureWindow,
    MemoryRateLimiter,
    MemoryRunStore,
    MemoryTokenStore,
)
from rune_common.adapters.memory_market import MemoryMarket
from rune_common.adapters.stepfunctions import StepFunctionsCallbacks, StepFunctionsExecutions
from rune_common.domain.access import Principal
from rune_common.domain.addresses import AddressPolicy
from rune_common.domain.executions import AgentTask
from rune_common.domain.gpu_market import Offer
from rune_common.domain.model_servers import ListedModels, ModelAbilities
from rune_common.domain.runs import Outcome, Run, RunKind, RunState
from rune_common.http.job_submission import accept, parse_submission
from rune_common.settings import Settings
from rune_common.tasks import (
    acquire_backend,
    admit_run,
    prepare_backend,
    reap_backends,
    record_outcome,
    record_result,
    start_agent,
    teardown_backend,
)
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.start_runs import start_run
from rune_common.wiring import Services, machines

CALLER = Principal("me", "human", "default")
PATIENCE_SECONDS = 12
TASKS = {
    "admit_run": admit_run,
    "acquire_backend": acquire_backend,
    "prepare_backend": prepare_backend,
    "start_agent": start_agent,
    "record_result": record_result,
    "teardown_backend": teardown_backend,
    "record_outcome": record_outcome,
    "reap_backends": reap_backends,
}


class Servers:
    """The instance's model server: it has every model."""

    def open(self, backend_type: str, backend_url: str) -> Servers:
        return self

    def ready(self) -> bool:
        return True

    def installed(self, model: str) -> bool:
        return True

    def list_models(self) -> ListedModels:
        return ListedModels(("llama3.1:8b",), ())

    def abilities(self, model: str) -> ModelAbilities:
        return ModelAbilities(("tools",), 131_072)

    def warm_up(self, model: str, **_: object) -> bool:
        return True


class World:
    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.calls: list[str] = []
        self.faults: dict[str, Exception] = {}
        self.store = MemoryRunStore()
        self.market = MemoryMarket([Offer(n, 1.0, 24_564, 0.995, 200.0) for n in range(1, 6)], clock=now)
        self.callbacks = StepFunctionsCallbacks(engine.client)
        self.agent: list[Outcome | None] = [Outcome(RunState.SUCCEEDED)]
        policy = AddressPolicy(("127.0.0.0/8",))
        self.services = Services(
            settings=settings,
            runs=self.store,
            blobs=MemoryBlobStore(),
            tokens=MemoryTokenStore(),
            failures=MemoryFailureWindow(),
            limiter=MemoryRateLimiter(),
            executions=StepFunctionsExecutions(machine_arn("run_agent"), engine.client, machines(settings)),
            agents=self,
            callbacks=self.callbacks,
            servers=Servers(),  # type: ignore[arg-type]
            backend_policy=policy,
            cluster_policy=policy,
            market=self.market,
        )

    def handler(self, name: str) -> Callable[[dict[str, Any], object], dict[str, Any]]:
        def invoke(event: dict[str, Any], _: object) -> dict[str, Any]:
            self.calls.append(name)
            if name in self.faults:
                raise self.faults[name]
            return TASKS[name].task(event, self.services)

        return invoke

    def start(self, task: AgentTask, *, timeout_seconds: int) -> None:
        """As an agent that is started: it answers from a thread, with the next outcome."""
        threading.Thread(target=self._answer, args=(task, self.agent.pop(0)), daemon=True).start()

    def _answer(self, task: AgentTask, outcome: Outcome | None) -> None:
        if outcome is not None:
            succeeded = outcome.status is RunState.SUCCEEDED
            self.change(outcome=outcome, has_result=succeeded, result={"answer": "a"} if succeeded else None)
        # The interpreter waits for a token only some time after the function has returned.
        time.sleep(0.2)
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            if outcome is not None and outcome.status is RunState.SUCCEEDED:
                done = self.callbacks.succeed(task.task_token, {"outcome": "completed"})
            else:
                error = "Rune.Transient" if outcome is None else "Rune.Permanent"
                done = self.callbacks.fail(task.task_token, error)
            if done:
                return
            time.sleep(0.05)

    def change(self, *, result: dict[str, Any] | None = None, **fields: Any) -> None:
        change_run(
            "default",
            self.run.run_id,
            lambda run: Proposal(replace(run, **fields), result=result),
            runs=self.store,
            clock=now,
            redactor=self.services.redactor,
        )

    @property
    def run(self) -> Run:
        (found,) = (stored.run for stored in self.store._stored.values())
        return found

    def submit(self, kind: RunKind = RunKind.BENCHMARK, **body: Any) -> None:
        raw = json.dumps({"vastai": True} | body).encode()
        submission, _ = parse_submission(kind, raw, None, self.services)
        accept(submission, CALLER, self.services)
        start_run(
            "default",
            self.run.run_id,
            runs=self.store,
            executions=self.services.executions,
            clock=now,
            owner="me",
            max_running=10,
        )

    def ended(self, kind: RunKind = RunKind.BENCHMARK, **body: Any) -> Run:
        self.submit(kind, **body)
        return self.until(lambda: self.run.terminal)

    def until(self, reached: Callable[[], object]) -> Run:
        until = time.monotonic() + PATIENCE_SECONDS
        while not reached():
            if time.monotonic() >= until:
                raise AssertionError(f"waited in vain: {self.calls}, {self.run}")
            time.sleep(0.02)
        return self.run


def now() -> int:
    return time.time_ns() // 1_000_000
