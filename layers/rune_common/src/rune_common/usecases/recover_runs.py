"""After an engine was killed: its runs are resumed, or ended with a reason (design.md 8, jobs-api.md 4.1)."""

from __future__ import annotations

from dataclasses import replace

from rune_common.domain.errors import RunFailure
from rune_common.domain.events import Redacting
from rune_common.domain.executions import ExecutionStarter
from rune_common.domain.ports import Clock, RunStore
from rune_common.domain.runs import Run, RunKind, RunState
from rune_common.usecases.attempt_repeats import is_expired, is_repeated
from rune_common.usecases.change_run import Proposal, Seal, change_run, unsealed
from rune_common.usecases.record_outcome import TIMED_OUT, WORKER_LOST, note_failure, record_outcome
from rune_common.usecases.start_runs import start_waiting_runs

PAGE = 10_000
LOST = "States.HeartbeatTimeout"
"""The name under which a state machine reports an agent that went silent."""

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
        if _rents(run):
            # The machine gives back what is rented, whatever is left to do besides.
            if not is_repeated(run, LOST, now_ms=clock()):
                failure = _why(run, now_ms=clock())
                note_failure(run.tenant, run.run_id, failure, runs=runs, clock=clock, redactor=redactor)
            _lose_legs(run, runs=runs, clock=clock, redactor=redactor)
            executions.start(run)
            continue
        error = None if run.outcome else LOST
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


def _rents(run: Run) -> bool:
    return any(rental.open for rental in run.rentals)


def _why(run: Run, *, now_ms: int) -> RunFailure:
    """Why a run that is not repeated ends, if nothing else has been noted."""
    outcome = TIMED_OUT if is_expired(run, now_ms) else WORKER_LOST
    return RunFailure(outcome.error_code or "", outcome.error or "")


def _lose_legs(run: Run, *, runs: RunStore, clock: Clock, redactor: Redacting) -> None:
    """The attempts of a chain's steps ended with the engine: nobody has to wait for their silence."""
    if not run.legs:
        return

    def decide(found: Run) -> Proposal | None:
        silent = tuple(replace(leg, heartbeat_at=0) for leg in found.legs)
        return None if found.terminal else Proposal(replace(found, legs=silent))

    change_run(run.tenant, run.run_id, decide, runs=runs, clock=clock, redactor=redactor)
