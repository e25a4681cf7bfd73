"""What no event announces: runs that wait in vain, and workers that went silent (jobs-api.md 4.1)."""

from __future__ import annotations

from rune_common.domain.events import Redacting
from rune_common.domain.executions import ExecutionStarter, TaskCallbacks
from rune_common.domain.ports import Clock, RunStore
from rune_common.domain.runs import RunKind, RunState
from rune_common.usecases.await_approval import wake_run
from rune_common.usecases.change_run import Seal, unsealed
from rune_common.usecases.end_external import end_external
from rune_common.usecases.record_outcome import record_outcome
from rune_common.usecases.settle_approvals import expire_approvals
from rune_common.usecases.start_runs import start_waiting_runs

PAGE = 500


def expire_waits(
    *,
    runs: RunStore,
    executions: ExecutionStarter,
    callbacks: TaskCallbacks,
    clock: Clock,
    redactor: Redacting,
    owner: str,
    max_running: int,
    seal: Seal = unsealed,
) -> int:
    """Look at every run that is due: start what may start, settle what nobody decided, end what was lost.

    How many were ended.
    """
    ended, waiting = 0, dict[str, None]()
    for run in runs.due(now_ms=clock(), limit=PAGE):
        if run.state is RunState.QUEUED and not run.holds_slot:
            waiting[run.tenant] = None
        elif run.state is RunState.AWAITING_APPROVAL:
            expire_approvals(run.tenant, run.run_id, runs=runs, clock=clock, redactor=redactor)
        elif run.pause is not None and not run.pause.started:
            wake_run(
                run.tenant, run.run_id, runs=runs, callbacks=callbacks, executions=executions, clock=clock
            )
        elif run.kind is RunKind.EXTERNAL:
            ended += end_external(
                run.tenant, run.run_id, runs=runs, clock=clock, redactor=redactor, seal=seal
            )
        elif not record_outcome(
            run.tenant,
            run.run_id,
            error="States.HeartbeatTimeout",
            runs=runs,
            clock=clock,
            redactor=redactor,
            seal=seal,
        ):
            ended += 1
        else:
            executions.start(run)
    for tenant in waiting:
        start_waiting_runs(
            tenant, runs=runs, executions=executions, clock=clock, owner=owner, max_running=max_running
        )
    return ended
