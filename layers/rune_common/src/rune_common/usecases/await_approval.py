"""A state machine waits for decisions, and is told that there are some (runs-api.md 6.4, 13)."""

from __future__ import annotations

from dataclasses import replace

from rune_common.domain.errors import WaitOver
from rune_common.domain.events import Redacting
from rune_common.domain.executions import ExecutionStarter, TaskCallbacks
from rune_common.domain.ports import Clock, RunStore
from rune_common.domain.runs import Run
from rune_common.usecases.change_run import Proposal, change_run

DEAD_AFTER_MS = 10 * 60 * 1000
"""A state machine that has not gone on so long after it was woken is taken for gone."""


def await_approval(
    tenant: str, run_id: str, task_token: str, *, runs: RunStore, clock: Clock, redactor: Redacting
) -> None:
    """Keep the token that answers the waiting state. Raises RunNotFound, and WaitOver if nothing is waited for."""

    def decide(run: Run) -> Proposal | None:
        if run.terminal or not run.waits or run.pause is None:
            raise WaitOver(run_id)
        if run.pause.token == task_token:
            return None
        return Proposal(replace(run, pause=replace(run.pause, token=task_token)))

    change_run(tenant, run_id, decide, runs=runs, clock=clock, redactor=redactor)


def wake_run(
    tenant: str,
    run_id: str,
    *,
    runs: RunStore,
    callbacks: TaskCallbacks,
    executions: ExecutionStarter | None = None,
    clock: Clock | None = None,
) -> bool:
    """Answer the waiting state of a run whose wait is over; False when nobody was told.

    With `executions`, a run whose state machine is gone gets another. Repeating is harmless: a late answer is
    ignored, and only one attempt takes the pause over.
    """
    run = runs.get(tenant, run_id)
    if run is None or run.terminal or run.pause is None or run.waits or run.pause.started:
        return False
    told = bool(run.pause.token) and callbacks.succeed(run.pause.token, {"pause_id": run.pause.pause_id})
    if not told and executions is not None and clock is not None:
        settled_at = run.pause.settled_at or 0
        if clock() - settled_at >= DEAD_AFTER_MS:
            executions.start(run)
            return True
    return told
