"""Begin an attempt of a run's agent: number it, fence the one before, start it (holmes-driver.md 2.9)."""

from __future__ import annotations

from dataclasses import replace

from rune_common.domain.errors import AttemptSuperseded, RunCancelled, RunFailure
from rune_common.domain.events import Redacting
from rune_common.domain.executions import AgentStarter, AgentTask
from rune_common.domain.ports import Clock, RunStore
from rune_common.domain.runs import Run, RunState
from rune_common.usecases.change_run import Proposal, change_run


def start_attempt(
    task: AgentTask,
    *,
    runs: RunStore,
    agents: AgentStarter,
    clock: Clock,
    redactor: Redacting,
    driver_timeout: int,
) -> None:
    """Start the agent for this task; its end answers the task's token. Repeating starts it once more at most.

    Raises RunNotFound, RunCancelled, RunFailure for a run that a refused approval ends, and AttemptSuperseded for
    one that is not running or whose model was asked already, unless it goes on from a pause.
    """

    def decide(run: Run) -> Proposal | None:
        if run.state is RunState.CANCELLING:
            raise RunCancelled(run.run_id)
        if run.state is not RunState.RUNNING:
            raise AttemptSuperseded(run.run_id)
        if run.attempt_id == task.attempt_id:
            return None
        if run.pause is None and run.model_call_begun:
            raise AttemptSuperseded(run.run_id)
        if run.pause is not None and run.outcome is not None:
            raise RunFailure(run.outcome.error_code or "INTERNAL", run.outcome.error or "")
        return Proposal(
            replace(
                run,
                attempt=run.attempt + 1,
                attempt_id=task.attempt_id,
                attempt_claimed=False,
                heartbeat_at=clock(),
                outcome=None,
                message="asking agent",
                phase="ask",
                phase_since=clock(),
                percent=None,
                pause=run.pause and replace(run.pause, started=True),
            )
        )

    run = change_run(task.tenant, task.run_id, decide, runs=runs, clock=clock, redactor=redactor)
    agents.start(task, timeout_seconds=min(run.timeout_seconds, driver_timeout))
