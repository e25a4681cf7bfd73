"""The attempt of a run of kind `command`: claim, gate, run, store how it ended, answer (runs-api.md 2.3, 5.4)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from rune_common.domain.commands import STEP_ID, CommandRunner, CommandSpec, command_spec
from rune_common.domain.errors import AttemptSuperseded, RunNotFound
from rune_common.domain.events import EventDraft
from rune_common.domain.executions import AgentTask, TaskCallbacks, Workspaces
from rune_common.domain.ports import BlobStore, Clock, RunRequest, RunStore
from rune_common.domain.redaction import Redactor
from rune_common.domain.runs import Run, RunState
from rune_common.usecases.attempt_log import owned_by
from rune_common.usecases.attempt_watch import POLL_SECONDS
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.command_attempt import CommandAttempt
from rune_common.usecases.command_gate import gate_proposal
from rune_common.usecases.plan_command import SEALED
from rune_common.usecases.settle_approvals import AskingPorts


@dataclass(frozen=True, slots=True)
class CommandPorts:
    """What an attempt needs. `path` is the PATH of every command, `seconds` a clock that never goes back."""

    runs: RunStore
    blobs: BlobStore
    runner: CommandRunner
    callbacks: TaskCallbacks
    workspaces: Workspaces
    clock: Clock
    seconds: Callable[[], float]
    redactor_for: Callable[[Iterable[str]], Redactor]
    path: str
    poll_seconds: float = POLL_SECONDS


def run_command(task: AgentTask, *, ports: CommandPorts) -> None:
    """Run the command once and answer the task token. A repeated or superseded attempt ends quietly.

    How it ended is stored before the token is answered, so the state machine never knows more than the log.
    """
    try:
        run = _claim(task, ports)
        request = ports.runs.request(task.tenant, task.run_id)
        if run.state is not RunState.CANCELLING and request is not None:
            spec = command_spec(json.loads(request.secrets[SEALED]))
            run = _begin(task, request, spec, ports)
            if run.model_call_begun:
                with ports.workspaces.open() as folder:
                    run = CommandAttempt(task, run, spec, folder, ports).work()
    except (AttemptSuperseded, RunNotFound):
        return
    _answer(task, ports.callbacks, run)


def _claim(task: AgentTask, ports: CommandPorts) -> Run:
    """Take the attempt that `start_attempt` began. Raises AttemptSuperseded when it was taken before."""

    def decide(run: Run) -> Proposal | None:
        if run.state is RunState.CANCELLING:
            return None
        owned_by(run, task.attempt_id)
        if run.attempt_claimed:
            raise AttemptSuperseded(run.run_id)
        return Proposal(replace(run, attempt_claimed=True, heartbeat_at=ports.clock(), pause=None))

    return change_run(
        task.tenant, task.run_id, decide, runs=ports.runs, clock=ports.clock, redactor=ports.redactor_for(())
    )


def _begin(task: AgentTask, request: RunRequest, spec: CommandSpec, ports: CommandPorts) -> Run:
    """The run with its step begun, so that whatever happens nothing runs twice; or waiting, or refused."""
    redactor = ports.redactor_for(spec.secrets)
    asking = AskingPorts(ports.runs, ports.blobs, ports.clock, redactor)

    def decide(run: Run) -> Proposal | None:
        owned_by(run, task.attempt_id)
        if run.state is not RunState.RUNNING:
            return None
        stopped = gate_proposal(run, request, spec, asking)
        if stopped is not None:
            return stopped
        begun = replace(
            run,
            heartbeat_at=ports.clock(),
            model_call_begun=True,
            message="the command is running",
            reported=replace(run.reported, steps=(STEP_ID,)),
        )
        payload = {"summary": "the command starts", "step_id": STEP_ID, "command": spec.shown}
        return Proposal(begun, [EventDraft("step_started", payload, step_id=STEP_ID)])

    return change_run(task.tenant, task.run_id, decide, runs=ports.runs, clock=ports.clock, redactor=redactor)


def _answer(task: AgentTask, callbacks: TaskCallbacks, run: Run) -> None:
    if run.state is RunState.CANCELLING:
        callbacks.fail(task.task_token, "Rune.Cancelled")
    elif run.waits:
        callbacks.succeed(task.task_token, {"outcome": "approval_required", "attempt_id": task.attempt_id})
    elif run.outcome is not None and run.outcome.status is RunState.SUCCEEDED:
        callbacks.succeed(task.task_token, {"outcome": "completed", "attempt_id": task.attempt_id})
    else:
        callbacks.fail(task.task_token, "Rune.Permanent")
