"""Destroy an instance and see it gone (jobs-api.md 6.5). One step each time; whoever calls it polls."""

from __future__ import annotations

import logging
from dataclasses import replace

from rune_common.domain.events import EventUsage
from rune_common.domain.gpu_market import MarketRefused, MarketUnavailable
from rune_common.domain.money import from_micro
from rune_common.domain.rentals import Rental, RentalState, with_rental
from rune_common.domain.runs import Run
from rune_common.usecases.change_run import Proposal
from rune_common.usecases.phase import Phase, span_draft
from rune_common.usecases.renting import RentPorts, save_rental

SPAN = "vastai.instance.destroy"

logger = logging.getLogger("rune.rentals")


def destroy_step(rental: Rental, phase: Phase, ports: RentPorts) -> bool:
    """Ask for an instance's end and look; True once its absence was seen and its cost is settled.

    One whose contract nobody knows is looked for by its label first.
    """
    if not rental.open:
        return True
    if rental.destroying_since is None:
        rental = save_rental(
            phase, replace(rental, state=RentalState.DESTROY_PENDING, destroying_since=ports.clock())
        )
    try:
        if not rental.contract_id:
            found = find_by_label(rental, phase, ports)
            if found is None:
                return _is_nowhere(rental, phase, ports)
            rental = save_rental(phase, found)
        ports.market.destroy(rental.contract_id)
        gone = ports.market.get(rental.contract_id) is None
    except (MarketUnavailable, MarketRefused) as exc:
        logger.warning("an instance could not be destroyed yet", exc_info=exc)
        return False
    if gone:
        _is_gone(rental, phase, ports)
    return gone


def find_by_label(rental: Rental, phase: Phase, ports: RentPorts) -> Rental | None:
    """The rental with the contract that bears its label, if the provider has one that was not known yet.

    Raises MarketUnavailable, MarketRefused.
    """
    known = {each.contract_id for each in phase.run.rentals}
    for instance in ports.market.list_owned():
        if instance.label == rental.label and instance.contract_id not in known:
            return replace(
                rental, contract_id=instance.contract_id, created_at=rental.intended_at, unclear_since=None
            )
    return None


def nothing_created(rental: Rental, phase: Phase, ports: RentPorts) -> None:
    """The wish for an instance came to nothing: what was set aside for it is free again."""
    ports.ledger.settle(phase.run.tenant, rental.reservation, 0, rental.spend_day)
    ended = replace(
        rental, state=RentalState.DESTROYED, destroyed_at=ports.clock(), settled=True, verified=True
    )
    save_rental(phase, ended)


def _is_nowhere(rental: Rental, phase: Phase, ports: RentPorts) -> bool:
    """An instance may show in the list only some time after it was asked for."""
    since = rental.unclear_since or rental.intended_at
    if ports.clock() < since + ports.recheck_seconds * 1000:
        return False
    nothing_created(rental, phase, ports)
    return True


def _is_gone(rental: Rental, phase: Phase, ports: RentPorts) -> None:
    ended = replace(rental, state=RentalState.DESTROYED, destroyed_at=ports.clock(), verified=True)
    cost = ended.cost_micro_usd(ports.clock())
    # Settled first: a repeat settles nothing more, and a destroyed rental is not looked at again.
    ports.ledger.settle(phase.run.tenant, rental.reservation, cost, rental.spend_day)
    event = span_draft(
        SPAN,
        "instance destroyed",
        {"contract_id": rental.contract_id, "cost_usd": from_micro(cost)},
        duration_ms=ports.clock() - (rental.destroying_since or ports.clock()),
        usage=EventUsage(cost_micro_usd=cost),
    )
    after = replace(ended, settled=True)

    def decide(run: Run) -> Proposal | None:
        # Two may have watched the same end; it is told, and counted, once.
        if any(each.reservation == after.reservation and not each.open for each in run.rentals):
            return None
        return Proposal(replace(run, rentals=with_rental(run.rentals, after)), [event])

    phase.change(decide)
