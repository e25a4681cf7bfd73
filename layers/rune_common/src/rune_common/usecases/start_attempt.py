"""Begin an attempt of a run's agent: number it, fence the one before, start it (holmes-driver.md 2.9)."""

from __future__ import annotations

from dataclasses import replace

from rune_common.domain.errors import AttemptSuperseded, RunCancelled
from rune_common.domain.events import Redacting
from rune_common.domain.ports import AgentStarter, AgentTask, Clock, RunStore
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

    Raises RunNotFound, RunCancelled, and AttemptSuperseded for a run that is not running.
    """

    def decide(run: Run) -> Proposal | None:
        if run.state is RunState.CANCELLING:
            raise RunCancelled(run.run_id)
        if run.state is not RunState.RUNNING:
            raise AttemptSuperseded(run.run_id)
        if run.attempt_id == task.attempt_id:
            return None
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
            )
        )

    run = change_run(task.tenant, task.run_id, decide, runs=runs, clock=clock, redactor=redactor)
    agents.start(task, timeout_seconds=min(run.timeout_seconds, driver_timeout))
