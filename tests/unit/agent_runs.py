"""Runs on the memory store and the ports around them, for tests of what happens to runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rune_common.adapters.memory import MemoryRunStore
from rune_common.domain.chain import genesis, verify_chain
from rune_common.domain.events import EventDraft, append_event
from rune_common.domain.ports import RunRequest
from rune_common.domain.redaction import Redactor
from rune_common.domain.runs import LogHead, Run, RunKind, RunState, Trigger, transition
from rune_common.usecases.change_run import Proposal, change_run

REDACTOR = Redactor()
START = 1_000_000


@dataclass
class Time:
    """A clock that is moved by hand, epoch ms; sleeping moves it."""

    now: int = START

    def __call__(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1000)


@dataclass
class Executions:
    """Notes which runs were started, by id and attempt."""

    started: list[tuple[str, int]] = field(default_factory=list)

    def start(self, run: Run) -> None:
        self.started.append((run.run_id, run.attempt))

    @property
    def ids(self) -> list[str]:
        return [run_id for run_id, _ in self.started]


@dataclass
class Answers:
    """Answers of waiting tasks; `known` False: their tokens mean nothing any more."""

    given: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    known: bool = True

    def succeed(self, task_token: str, output: Mapping[str, Any]) -> bool:
        self.given.append((task_token, output))
        return self.known

    def fail(self, task_token: str, error: str, cause: str = "") -> bool:
        self.given.append((task_token, {"error": error}))
        return self.known

    def heartbeat(self, task_token: str) -> bool:
        return self.known


def queued(
    store: MemoryRunStore,
    run_id: str,
    *,
    tenant: str = "t",
    at: int = START,
    document: Mapping[str, Any] | None = None,
    created_by: str = "me",
    **fields: Any,
) -> Run:
    head = LogHead(tenant, run_id, 0, genesis(tenant, run_id))
    draft = EventDraft("run_queued", {"summary": "accepted"})
    event, head = append_event(head, draft, now_ms=at, redactor=REDACTOR)
    run = Run(tenant, run_id, RunKind.AGENT, RunState.QUEUED, at, at, created_by, head, **fields)
    store.create(run, RunRequest(document or {"question": "why?"}), [event])
    return run


def running(store: MemoryRunStore, run_id: str, *, at: int = START, **fields: Any) -> Run:
    """A run that was admitted and holds a slot."""
    queued(store, run_id, at=at, model="llama3.1:8b")
    state = transition(RunState.QUEUED, Trigger.START)
    return changed(store, run_id, state=state, started_at=at, holds_slot=True, **fields)


def changed(store: MemoryRunStore, run_id: str, *, tenant: str = "t", at: int = START, **fields: Any) -> Run:
    return change_run(
        tenant,
        run_id,
        lambda run: Proposal(replace(run, **fields)),
        runs=store,
        clock=lambda: at,
        redactor=REDACTOR,
    )


def stored(store: MemoryRunStore, run_id: str, *, tenant: str = "t") -> Run:
    found = store.get(tenant, run_id)
    assert found is not None
    return found


def log(store: MemoryRunStore, run_id: str, *, tenant: str = "t") -> list[dict[str, Any]]:
    """The run's events; their chain has been verified."""
    events = store.events(tenant, run_id).events
    assert verify_chain(tenant, run_id, [event.body for event in events]) == []
    return [event.document() for event in events]
