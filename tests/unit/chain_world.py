"""One chain over memory adapters, its state machine and its agents played by the test (jobs-api.md 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.unit.scripted_driver import Driver, Folders

from rune_common.adapters.memory import MemoryBlobStore, MemoryRunStore
from rune_common.domain.chain import genesis, verify_chain
from rune_common.domain.chain_rules import ChainSpec, ChainStep, OnFailure
from rune_common.domain.chains import ChainState, first_state
from rune_common.domain.events import EventDraft, append_event
from rune_common.domain.executions import AgentTask
from rune_common.domain.ports import RunRequest
from rune_common.domain.redaction import Redactor
from rune_common.domain.runs import LogHead, Run, RunKind, RunState, Trigger, transition
from rune_common.usecases.advance_chain import ChainPorts, advance_chain
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.record_outcome import record_outcome
from rune_common.usecases.run_attempt import AttemptPorts
from rune_common.usecases.run_step import run_step

Json = dict[str, Any]


class Callbacks:
    def __init__(self) -> None:
        self.answers: list[tuple[str, Json]] = []

    def succeed(self, task_token: str, output: Mapping[str, Any]) -> bool:
        self.answers.append((task_token, dict(output)))
        return True

    def fail(self, task_token: str, error: str, cause: str = "") -> bool:
        raise AssertionError("a step's end is told as a success")

    def heartbeat(self, task_token: str) -> bool:
        raise AssertionError("a step has no token of its own")


@dataclass
class Started:
    tasks: list[AgentTask] = field(default_factory=list)

    def start(self, task: AgentTask, *, timeout_seconds: int) -> None:
        self.tasks.append(task)

    def taken(self) -> list[AgentTask]:
        found, self.tasks = self.tasks, []
        return found


class World:
    """One chain, its state machine played by the test."""

    def __init__(self, *steps: ChainStep, on_failure: OnFailure = OnFailure.CONTINUE, **context: str) -> None:
        self.store, self.blobs, self.driver = MemoryRunStore(), MemoryBlobStore(), Driver()
        self.callbacks, self.agents, self.now, self._visits = Callbacks(), Started(), 2_000, 0
        spec = ChainSpec(steps, context, on_failure)
        head = LogHead("t", "r", 0, genesis("t", "r"))
        event, head = append_event(head, EventDraft("run_queued", {}), now_ms=1_000, redactor=Redactor())
        run = Run("t", "r", RunKind.CHAIN, RunState.QUEUED, 1_000, 1_000, "me", head, model="m")
        request = RunRequest({"chain": spec.document(), "model": "m", "backend_url": "http://x"})
        self.store.create(run, request, [event], chain=first_state(spec))
        self.change(lambda run: replace(run, state=transition(run.state, Trigger.START), started_at=1_000))

    @property
    def run(self) -> Run:
        found = self.store.get("t", "r")
        assert found
        return found

    @property
    def chain(self) -> ChainState:
        found = self.store.chain("t", "r")
        assert found
        return found

    @property
    def result(self) -> Mapping[str, Any]:
        found = self.store.result("t", "r")
        assert found
        return found

    def words(self) -> dict[str, str]:
        return {step.name: str(step.state) for step in self.chain.steps}

    def change(self, edit: Callable[[Run], Run]) -> None:
        change_run(
            "t", "r", lambda run: Proposal(edit(run)), runs=self.store, clock=self.clock, redactor=Redactor()
        )

    def cancel(self) -> None:
        self.change(lambda run: replace(run, state=transition(run.state, Trigger.CANCEL)))

    def clock(self) -> int:
        self.now += 1
        return self.now

    def advance(self) -> list[AgentTask]:
        """One visit of the state machine; what it started."""
        self._visits += 1
        ports = ChainPorts(self.store, self.agents, self.callbacks, self.clock, Redactor(), 900)
        advance_chain("t", "r", f"token-{self._visits}", ports=ports)
        return self.agents.taken()

    def work(self, task: AgentTask) -> None:
        run_step(
            task,
            ports=AttemptPorts(
                runs=self.store,
                blobs=self.blobs,
                driver=self.driver,
                callbacks=self.callbacks,
                workspaces=Folders(),
                clock=self.clock,
                redactor_for=Redactor,
                prices={},
                poll_seconds=0.01,
            ),
        )

    def to_the_end(self) -> None:
        for _ in range(100):
            started = self.advance()
            if not started:
                break
            for task in started:
                self.work(task)
        assert self.callbacks.answers[-1][1] == {"done": True, "pause_seconds": 0}

    def record(self, error: str | None = None) -> Run:
        again = record_outcome("t", "r", error=error, runs=self.store, clock=self.clock, redactor=Redactor())
        assert not again
        return self.run

    def log(self) -> list[Json]:
        """The log, checked against the invariants of runs-api.md 3.2."""
        events = self.store.events("t", "r", limit=1000).events
        assert verify_chain("t", "r", [event.body for event in events]) == []
        found = [event.document() for event in events]
        for begins, ends, key in (
            ("step_started", "step_completed", "step_id"),
            ("tool_call", "tool_result", "call_id"),
        ):
            opened = {(each["step_id"], each["payload"][key]) for each in found if each["type"] == begins}
            closed = [(each["step_id"], each["payload"][key]) for each in found if each["type"] == ends]
            assert opened <= set(closed)
            assert len(set(closed)) == len(closed)
        return found


def step(name: str, *dependencies: str, question: str | None = None, model: str | None = None) -> ChainStep:
    return ChainStep(name, question or f"q-{name}", dependencies=dependencies, model=model)
