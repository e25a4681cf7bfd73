"""Start the work of queued runs: as many at once as a tenant may have running (jobs-api.md 2, design.md 6)."""

from __future__ import annotations

from rune_common.domain.executions import ExecutionStarter
from rune_common.domain.ports import Clock, RunStore
from rune_common.domain.runs import RunState


def start_run(
    tenant: str,
    run_id: str,
    *,
    runs: RunStore,
    executions: ExecutionStarter,
    clock: Clock,
    owner: str,
    max_running: int,
) -> bool:
    """Give a queued run a slot and start its execution; False when it has to go on waiting.

    Repeating is harmless: a slot is claimed once, and an execution is named by run and attempt.
    """
    run = runs.get(tenant, run_id)
    if run is None or run.state is not RunState.QUEUED:
        return False
    if not run.holds_slot:
        run = runs.claim_slot(run, owner=owner, max_running=max_running, now_ms=clock())
        if run is None:
            return False
    executions.start(run)
    return True


def start_waiting_runs(
    tenant: str, *, runs: RunStore, executions: ExecutionStarter, clock: Clock, owner: str, max_running: int
) -> int:
    """Start the longest waiting runs of a tenant while slots are free; how many were started."""
    started = 0
    for run in runs.waiting(tenant, limit=max_running):
        if not start_run(
            tenant,
            run.run_id,
            runs=runs,
            executions=executions,
            clock=clock,
            owner=owner,
            max_running=max_running,
        ):
            break
        started += 1
    return started
