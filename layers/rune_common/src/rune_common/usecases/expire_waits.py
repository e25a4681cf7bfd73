"""What no event announces: runs that wait in vain, and workers that went silent (jobs-api.md 4.1)."""

from __future__ import annotations

from rune_common.domain.events import Redacting
from rune_common.domain.ports import Clock, ExecutionStarter, RunStore
from rune_common.domain.runs import RunState
from rune_common.usecases.change_run import Seal, unsealed
from rune_common.usecases.record_outcome import record_outcome
from rune_common.usecases.start_runs import start_waiting_runs

PAGE = 500


def expire_waits(
    *,
    runs: RunStore,
    executions: ExecutionStarter,
    clock: Clock,
    redactor: Redacting,
    owner: str,
    max_running: int,
    seal: Seal = unsealed,
) -> int:
    """Look at every run that is due: start what may start, end what was lost. How many were ended."""
    ended, waiting = 0, dict[str, None]()
    for run in runs.due(now_ms=clock(), limit=PAGE):
        if run.state is RunState.QUEUED and not run.holds_slot:
            waiting[run.tenant] = None
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
