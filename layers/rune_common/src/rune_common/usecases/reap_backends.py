"""Destroy what nobody needs any more: of this deployment only, by exact labels (jobs-api.md 6.5)."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from rune_common.domain.errors import RuneError
from rune_common.domain.gpu_market import Instance
from rune_common.domain.labels import OwnerLabel, parse_label
from rune_common.domain.rentals import Rental, RentalState
from rune_common.domain.runs import Run
from rune_common.usecases.destroy_rental import destroy_step
from rune_common.usecases.phase import Phase
from rune_common.usecases.renting import RentPorts, save_rental

UNKNOWN_JOB_MS = 15 * 60 * 1000
"""An instance of an unknown job may be younger than its job's record is visible."""

logger = logging.getLogger("rune.reaper")


@dataclass(frozen=True, slots=True)
class Reaped:
    """`acted`: instances whose end was asked for; `failures` of them are still there or could not be asked."""

    acted: int = 0
    failures: int = 0


def reap_backends(*, ports: RentPorts, dry_run: bool = False) -> Reaped:
    """Look at every instance of the account. Raises MarketUnavailable, MarketRefused when there is no list."""
    acted = failures = 0
    for instance in ports.market.list_owned():
        label = parse_label(instance.label)
        if label is None or label.deployment_id != ports.deployment_id:
            continue
        try:
            run = _run_of(label, ports)
            reason = _reason(instance, label, run, ports.clock())
            if reason is None:
                continue
            acted += 1
            extra = {"contract_id": instance.contract_id, "run_id": label.job_id, "reason": reason}
            logger.info("an instance is reaped", extra=extra)
            if not dry_run and not _destroy(instance, run, ports):
                failures += 1
        except RuneError:
            logger.exception("an instance could not be reaped")
            failures += 1
    return Reaped(acted, failures)


def give_back_released(tenant: str, run_id: str, *, ports: RentPorts) -> bool:
    """Destroy what a job was asked to give back; True once all of it is gone. The reaper does what is left."""
    run = ports.runs.get(tenant, run_id)
    if run is None:
        return True
    phase = Phase(run, ports, stoppable=False)
    gone = [destroy_step(rental, phase, ports) for rental in run.rentals if rental.released]
    return all(gone)


def _run_of(label: OwnerLabel, ports: RentPorts) -> Run | None:
    tenant = ports.rented.tenant_of(label.job_id)
    return None if tenant is None else ports.runs.get(tenant, label.job_id)


def _reason(instance: Instance, label: OwnerLabel, run: Run | None, now_ms: int) -> str | None:
    """Why an instance of ours is destroyed; None when it is still needed."""
    if now_ms > label.expires_at * 1000:
        return "expired"
    if run is None:
        old = instance.started_at is not None and now_ms - instance.started_at > UNKNOWN_JOB_MS
        return "unknown job" if old else None
    if not run.terminal:
        return None
    rental = _rental_of(instance, run)
    return None if rental is not None and rental.leased(now_ms) else "job has ended"


def _rental_of(instance: Instance, run: Run) -> Rental | None:
    """The run's record of it: by its contract, or the one whose create call was never answered."""
    by_contract = (each for each in run.rentals if each.contract_id == instance.contract_id)
    unanswered = (each for each in run.rentals if not each.contract_id and each.label == instance.label)
    return next(by_contract, None) or next(unanswered, None)


def _destroy(instance: Instance, run: Run | None, ports: RentPorts) -> bool:
    rental = _rental_of(instance, run) if run else None
    if run is None or rental is None or not rental.open:
        ports.market.destroy(instance.contract_id)
        return ports.market.get(instance.contract_id) is None
    phase = Phase(run, ports, stoppable=False)
    known = replace(
        rental,
        contract_id=instance.contract_id,
        created_at=rental.created_at or rental.intended_at,
        state=RentalState.DESTROY_PENDING,
        destroying_since=rental.destroying_since or ports.clock(),
    )
    return destroy_step(save_rental(phase, known), phase, ports)
