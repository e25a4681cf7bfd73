"""What becomes of a chain's steps: pure scheduling (jobs-api.md 8). The definition is in chain_rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from rune_common.domain.chain_rules import ChainSpec, OnFailure
from rune_common.domain.errors import IllegalTransition

MAX_AT_ONCE = 5
STOPPED = "stopped"
CANCELLED = "cancelled"


class StepState(StrEnum):
    """The words of the API; the log says `succeeded`, and `cancelled` for what a cancel stopped."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "success"
    FAILED = "failed"
    SKIPPED = "skipped"


SETTLED = frozenset({StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED})


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step as it is now. Times are epoch ms; its answer is kept in the run's result.

    `model` "" means the run's. `attempts` counts how often it was started. `logged`: the run's log has its end.
    """

    name: str
    agent: str
    dependencies: tuple[str, ...] = ()
    state: StepState = StepState.PENDING
    started_at: int | None = None
    finished_at: int | None = None
    error: str | None = None
    model: str = ""
    attempts: int = 0
    logged: bool = False

    @property
    def settled(self) -> bool:
        return self.state in SETTLED


@dataclass(frozen=True, slots=True)
class ChainState:
    """A chain's steps, in the order of the request. `token`: whom to tell when one of them has ended."""

    steps: tuple[StepRecord, ...] = ()
    on_failure: OnFailure = OnFailure.CONTINUE
    token: str = ""

    def step(self, name: str) -> StepRecord:
        """Raises KeyError."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)

    @property
    def running(self) -> tuple[StepRecord, ...]:
        return tuple(step for step in self.steps if step.state is StepState.RUNNING)

    @property
    def settled(self) -> bool:
        """Nothing is left to do."""
        return all(step.settled for step in self.steps)

    @property
    def stopping(self) -> bool:
        """A step has failed, and none is to go on."""
        failed = any(step.state is StepState.FAILED for step in self.steps)
        return self.on_failure is OnFailure.STOP and failed

    @property
    def succeeded(self) -> bool:
        return all(step.state is StepState.SUCCEEDED for step in self.steps)

    def sinks(self) -> tuple[StepRecord, ...]:
        """The steps that no other depends on."""
        used = {name for step in self.steps for name in step.dependencies}
        return tuple(step for step in self.steps if step.name not in used)


def first_state(spec: ChainSpec) -> ChainState:
    """A chain of which nothing has started."""
    steps = (
        StepRecord(step.name, step.agent, step.dependencies, model=step.model or "") for step in spec.steps
    )
    return ChainState(tuple(steps), spec.on_failure)


def next_steps(chain: ChainState) -> tuple[str, ...]:
    """The steps to start now, in the order of the request: at most five are running at once."""
    done = {step.name for step in chain.steps if step.state is StepState.SUCCEEDED}
    ready = [
        step.name
        for step in chain.steps
        if step.state is StepState.PENDING and done.issuperset(step.dependencies)
    ]
    return () if chain.stopping else tuple(ready[: max(0, MAX_AT_ONCE - len(chain.running))])


def start_step(chain: ChainState, name: str, *, now_ms: int) -> ChainState:
    """Raises IllegalTransition unless `next_steps` has the step."""
    if name not in next_steps(chain):
        raise IllegalTransition("a step that is not ready cannot start")
    step = chain.step(name)
    began = step.started_at or now_ms
    return _with(chain, replace(step, state=StepState.RUNNING, started_at=began, attempts=step.attempts + 1))


def return_step(chain: ChainState, name: str, *, now_ms: int) -> ChainState:
    """A running step that did nothing yet is to be started again; in a chain that stops it has failed."""
    step = _running(chain, name)
    if chain.stopping:
        return settle(chain, name, STOPPED, now_ms=now_ms)
    return _with(chain, replace(step, state=StepState.PENDING))


def settle(chain: ChainState, name: str, error: str | None, *, now_ms: int) -> ChainState:
    """A running step has ended: well, or with an error's text. What depends on a failed one is skipped at once.

    Raises IllegalTransition for a step that is not running.
    """
    step = _running(chain, name)
    state = StepState.SUCCEEDED if error is None else StepState.FAILED
    after = _with(chain, replace(step, state=state, finished_at=now_ms, error=error))
    if state is StepState.SUCCEEDED and not after.stopping:
        return after
    lost = {each.name for each in after.steps if each.state is StepState.PENDING}
    return _skipping(after, lost if after.stopping else lost & _dependants(after, name), now_ms)


def close(chain: ChainState, error: str, *, now_ms: int) -> ChainState:
    """Nothing goes on: running steps fail with `error`, pending ones are skipped."""
    failed = (
        replace(step, state=StepState.FAILED, finished_at=now_ms, error=error)
        if step.state is StepState.RUNNING
        else step
        for step in chain.steps
    )
    return skip_waiting(replace(chain, steps=tuple(failed)), now_ms=now_ms)


def skip_waiting(chain: ChainState, *, now_ms: int) -> ChainState:
    """Nothing more is started."""
    return _skipping(chain, {step.name for step in chain.steps}, now_ms)


def overall_status(chain: ChainState) -> str:
    """One word for all steps; the first rule of the contract that fits."""
    states = [step.state for step in chain.steps]
    if all(state is StepState.PENDING for state in states):
        return "pending"
    if StepState.RUNNING in states or StepState.PENDING in states:
        return "running"
    if StepState.FAILED in states:
        return "failed"
    return "skipped" if all(state is StepState.SKIPPED for state in states) else "success"


def with_ends_logged(chain: ChainState, names: Iterable[str]) -> ChainState:
    found = set(names)
    return replace(
        chain,
        steps=tuple(replace(step, logged=True) if step.name in found else step for step in chain.steps),
    )


def ends_to_log(chain: ChainState) -> tuple[StepRecord, ...]:
    """Settled steps whose end the run's log does not have yet."""
    return tuple(step for step in chain.steps if step.settled and not step.logged)


def joined_answer(chain: ChainState, answers: Mapping[str, str]) -> str:
    """The chain's answer: those of its last steps, with blank lines between them."""
    return "\n\n".join(answers[step.name] for step in chain.sinks() if step.name in answers)


def step_results(chain: ChainState, answers: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The result's `steps` (jobs-api.md 4.8)."""
    return {
        step.name: {
            "status": str(step.state),
            **({"answer": answers[step.name]} if step.name in answers else {}),
            **({"error": step.error} if step.error else {}),
        }
        for step in chain.steps
    }


def edges(chain: ChainState) -> Sequence[tuple[str, str]]:
    """Pairs of dependency and dependant."""
    return [(name, step.name) for step in chain.steps for name in step.dependencies]


def _running(chain: ChainState, name: str) -> StepRecord:
    step = chain.step(name)
    if step.state is not StepState.RUNNING:
        raise IllegalTransition(f"a step that is {step.state} does not end")
    return step


def _dependants(chain: ChainState, name: str) -> set[str]:
    """Every step that needs this one, directly or through others."""
    found, waiting = set[str](), [name]
    while waiting:
        of = waiting.pop()
        new = {step.name for step in chain.steps if of in step.dependencies} - found
        found |= new
        waiting += new
    return found


def _skipping(chain: ChainState, names: set[str], now_ms: int) -> ChainState:
    steps = (
        replace(step, state=StepState.SKIPPED, finished_at=now_ms)
        if step.name in names and step.state is StepState.PENDING
        else step
        for step in chain.steps
    )
    return replace(chain, steps=tuple(steps))


def _with(chain: ChainState, changed: StepRecord) -> ChainState:
    steps = (changed if step.name == changed.name else step for step in chain.steps)
    return replace(chain, steps=tuple(steps))
