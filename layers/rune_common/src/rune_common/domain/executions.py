"""What carries a run out: executions, agents, the answers of waiting tasks, private folders."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rune_common.domain.runs import Run


@dataclass(frozen=True, slots=True)
class AgentTask:
    """What starts one leg of an agent: identifiers only, the request is read from the store.

    `step_id` names the step of a chain; a step's end is told to the chain, so its `task_token` is "".
    """

    tenant: str
    run_id: str
    attempt_id: str
    task_token: str
    step_id: str = ""


class ExecutionStarter(Protocol):
    """Starts a run's state machine. Starting the same (run, attempt) again does nothing."""

    def start(self, run: Run) -> None: ...


class AgentStarter(Protocol):
    """Starts an agent somewhere and returns at once; its end arrives by TaskCallbacks."""

    def start(self, task: AgentTask, *, timeout_seconds: int) -> None: ...


class TaskCallbacks(Protocol):
    """Answers of a waiting task. A token that timed out or is unknown is ignored: returns False."""

    def succeed(self, task_token: str, output: Mapping[str, Any]) -> bool: ...
    def fail(self, task_token: str, error: str, cause: str = "") -> bool: ...
    def heartbeat(self, task_token: str) -> bool: ...


class Workspaces(Protocol):
    """A private folder (0700) for one agent leg, removed afterwards."""

    def open(self) -> AbstractContextManager[Path]: ...
