"""Give back what a finished job keeps under a lease (jobs-api.md 4.7). The reaper does the rest."""

from __future__ import annotations

from dataclasses import replace

from rune_common.domain.access import Principal
from rune_common.domain.errors import RunUnfinished
from rune_common.domain.events import Redacting
from rune_common.domain.jobs import checked_job_id
from rune_common.domain.ports import Clock, RunStore
from rune_common.domain.rentals import Rental, RentalState
from rune_common.domain.runs import Run
from rune_common.usecases.change_run import Proposal, change_run


def release_job(job_id: str, caller: Principal, *, runs: RunStore, clock: Clock, redactor: Redacting) -> bool:
    """End every lease; True when anything is still to be given back. Repeating changes nothing.

    Raises RunNotFound, and RunUnfinished for a job that has not ended.
    """

    def decide(run: Run) -> Proposal | None:
        if not run.terminal:
            raise RunUnfinished(job_id)
        released = tuple(_released(rental, clock()) for rental in run.rentals)
        return None if released == run.rentals else Proposal(replace(run, rentals=released))

    run = change_run(caller.tenant, checked_job_id(job_id), decide, runs=runs, clock=clock, redactor=redactor)
    return any(rental.open for rental in run.rentals)


def _released(rental: Rental, now_ms: int) -> Rental:
    if not rental.open or rental.state is RentalState.DESTROY_PENDING:
        return rental
    return replace(rental, state=RentalState.DESTROY_PENDING, lease_expires_at=now_ms)
