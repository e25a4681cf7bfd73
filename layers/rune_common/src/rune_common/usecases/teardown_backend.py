"""After the work, whatever became of it: destroy what was rented, or start its lease (jobs-api.md 4.10, 6.5)."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from rune_common.domain.events import EventDraft
from rune_common.domain.rentals import Rental, RentalState, total_cost
from rune_common.domain.runs import PhaseRecord, Run, RunState
from rune_common.domain.spend import lease_within, spend_day
from rune_common.usecases.attempt_repeats import is_repeated
from rune_common.usecases.change_run import Proposal
from rune_common.usecases.destroy_rental import destroy_step
from rune_common.usecases.phase import Phase, ended, warned
from rune_common.usecases.renting import RentPorts, Terms, open_rental, save_rental

TEARDOWN_PENDING = "teardown_pending"

logger = logging.getLogger("rune.rentals")


@dataclass(frozen=True, slots=True)
class TeardownStep:
    """`again`: the agent is to be asked once more, so nothing was torn down. `pending`: the reaper goes on."""

    done: bool
    again: bool = False
    pending: bool = False
    wait_seconds: int = 0


def teardown_backend(tenant: str, run_id: str, *, error: str | None, ports: RentPorts) -> TeardownStep:
    """One step; called until it is done. A failure here never changes how the work ended (G4)."""
    run = ports.runs.get(tenant, run_id)
    if run is None:
        return TeardownStep(True)
    if is_repeated(run, error, now_ms=ports.clock()):
        return TeardownStep(False, again=True)
    document = ports.runs.request_document(tenant, run_id)
    terms = Terms.of(document, ports.limits) if document else None
    rental = open_rental(run)
    if rental is None:
        _free_reservation(run, terms, ports)
        return TeardownStep(True)
    phase = Phase(run, ports, stoppable=False)
    phase.begin("teardown", "tearing down")
    if terms is not None and keeps_instance(phase.run, rental, terms):
        start_lease(rental, phase, terms, ports)
    rental = open_rental(phase.run) or rental
    if rental.leased(ports.clock()) and keeps_instance(phase.run, rental, terms):
        return _over(phase, "ok")
    if rental.lease_expires_at is not None:
        # A cancel that came after the lease had begun.
        rental = save_rental(phase, replace(rental, lease_expires_at=None))
    if destroy_step(rental, phase, ports):
        return _over(phase, "ok")
    phase.note(heartbeat_at=ports.clock())
    rental = open_rental(phase.run) or rental
    if ports.clock() < (rental.destroying_since or ports.clock()) + ports.teardown_timeout * 1000:
        return TeardownStep(False, wait_seconds=ports.poll_seconds)
    logger.warning("an instance is left to the reaper", extra={"run_id": run_id})
    phase.change(lambda found: warned(found, TEARDOWN_PENDING))
    _over(phase, "error")
    return TeardownStep(True, pending=True)


def keeps_instance(run: Run, rental: Rental, terms: Terms | None) -> bool:
    """Only what was asked to stay stays, and only after success."""
    succeeded = run.outcome is not None and run.outcome.status is RunState.SUCCEEDED
    kept = terms is not None and terms.kept_seconds > 0
    return kept and succeeded and run.state is not RunState.CANCELLING and rental.state is RentalState.RUNNING


def start_lease(rental: Rental, phase: Phase, terms: Terms, ports: RentPorts) -> Rental:
    """Keep the instance for as long as the job's money lasts; repeating does not prolong it."""
    if rental.lease_expires_at is not None:
        return rental
    now = ports.clock()
    cost = total_cost(phase.run.rentals, now)
    seconds = lease_within(terms.kept_seconds, rental.dph, cost, rental.limit_micro_usd)
    leased = replace(rental, lease_expires_at=now + seconds * 1000)
    return save_rental(
        phase, leased, EventDraft("run_progress", {"summary": f"instance is kept for {seconds} s"})
    )


def _over(phase: Phase, status: str) -> TeardownStep:
    record = PhaseRecord("teardown", status, phase.ports.clock() - phase.began)
    phase.change(lambda run: Proposal(ended(run, record)))
    return TeardownStep(True)


def _free_reservation(run: Run, terms: Terms | None, ports: RentPorts) -> None:
    """A process that ended between reservation and intent left money set aside for nothing."""
    if terms is not None:
        name = f"{run.run_id}/{len(run.rentals) + 1}"
        ports.ledger.settle(run.tenant, name, 0, spend_day(ports.clock()))
