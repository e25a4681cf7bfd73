"""After an engine was killed: its runs are resumed, or ended with a reason (design.md 8, jobs-api.md 4.1)."""

from __future__ import annotations

from dataclasses import replace

from rune_common.domain.events import Redacting
from rune_common.domain.ports import Clock, ExecutionStarter, RunStore
from rune_common.domain.runs import Run, RunKind, RunState
from rune_common.usecases.change_run import Proposal, Seal, change_run, unsealed
from rune_common.usecases.record_outcome import record_outcome
from rune_common.usecases.start_runs import start_waiting_runs

PAGE = 10_000
NOBODY = ""
"""Owner of runs that wait for a slot: whichever engine is first takes them."""


def recover_runs(
    *,
    runs: RunStore,
    executions: ExecutionStarter,
    clock: Clock,
    redactor: Redacting,
    owner: str,
    max_running: int,
    seal: Seal = unsealed,
) -> int:
    """Take up what this engine was doing when it ended. Runs of other engines are left alone.

    A run whose first model call had begun is not repeated: it ends as `worker_lost`. Returns how many
    runs were taken up or ended.
    """
    tenants, touched = dict[str, None](), 0
    for run in (*runs.unfinished(owner, limit=PAGE), *runs.unfinished(NOBODY, limit=PAGE)):
        if run.kind is RunKind.EXTERNAL:
            continue  # its work is its client's: no engine has anything to take up
        tenants[run.tenant] = None
        if run.state is RunState.QUEUED and not run.holds_slot:
            continue
        touched += 1
        if run.state is RunState.QUEUED or run.pause is not None and run.state is not RunState.CANCELLING:
            # A paused run waits again, or goes on with what was decided: no attempt has taken it over.
            executions.start(run)
            continue
        error = None if run.outcome else "States.HeartbeatTimeout"
        if record_outcome(
            run.tenant, run.run_id, error=error, runs=runs, clock=clock, redactor=redactor, seal=seal
        ):
            _lose_legs(run, runs=runs, clock=clock, redactor=redactor)
            executions.start(run)
    for tenant in tenants:
        start_waiting_runs(
            tenant, runs=runs, executions=executions, clock=clock, owner=owner, max_running=max_running
        )
    return touched


def _lose_legs(run: Run, *, runs: RunStore, clock: Clock, redactor: Redacting) -> None:
    """The attempts of a chain's steps ended with the engine: nobody has to wait for their silence."""
    if not run.legs:
        return

    def decide(found: Run) -> Proposal | None:
        silent = tuple(replace(leg, heartbeat_at=0) for leg in found.legs)
        return None if found.terminal else Proposal(replace(found, legs=silent))

    change_run(run.tenant, run.run_id, decide, runs=runs, clock=clock, redactor=redactor)
