"""Look at an instance until it runs and its port is mapped (jobs-api.md 6.4)."""

from __future__ import annotations

import logging
from dataclasses import replace

from rune_common.domain.addresses import AddressNotAllowed, AddressUnresolved
from rune_common.domain.boot import MAPPING_MS, ODD_POLLS, Boot, boot_state
from rune_common.domain.events import EventDraft
from rune_common.domain.gpu_market import Instance, MarketRefused, MarketUnavailable
from rune_common.domain.money import micro_usd
from rune_common.domain.rentals import Rental, RentalState, total_cost
from rune_common.usecases.create_instance import INSTANCE_FAILED, TOO_EXPENSIVE
from rune_common.usecases.phase import Phase, span_draft
from rune_common.usecases.renting import RentPorts, Step, save_rental

SPAN = "vastai.instance.wait_running"

logger = logging.getLogger("rune.rentals")


def look_at_instance(rental: Rental, phase: Phase, ports: RentPorts) -> Step:
    """One look. A failed instance becomes one to destroy. Raises RunFailure and RunCancelled."""
    phase.check(SPAN)
    now = ports.clock()
    if total_cost(phase.run.rentals, now) >= rental.limit_micro_usd:
        raise phase.fail(SPAN, "SPEND_LIMIT_EXCEEDED", TOO_EXPENSIVE)
    again = Step(False, ports.poll_seconds)
    try:
        instance = ports.market.get(rental.contract_id)
        if instance is not None and instance.label != rental.label:
            return _label_again(rental, phase, ports)
    except MarketUnavailable:
        return again
    except MarketRefused:
        raise phase.fail(SPAN, "INSTANCE_FAILED", INSTANCE_FAILED) from None
    if instance is not None and instance.dph:
        # What is charged counts, whatever was offered.
        rental = replace(rental, dph_micro_usd=micro_usd(instance.dph))
    state = boot_state(instance)
    if instance is not None and state is Boot.RUNNING:
        return _look_for_port(rental, instance, phase, ports)
    odd = rental.odd_polls + 1 if state is Boot.ODD else 0
    late = now >= (rental.created_at or now) + ports.boot_timeout * 1000
    if state is Boot.FAILED or odd >= ODD_POLLS or late:
        return give_up(rental, "instance failed", phase, ports)
    _show(replace(rental, odd_polls=odd), instance, state, phase)
    return again


def give_up(rental: Rental, summary: str, phase: Phase, ports: RentPorts) -> Step:
    """An instance that failed is destroyed before the next offer is tried."""
    labels = {"contract_id": rental.contract_id, "offer_id": rental.offer_id}
    took = ports.clock() - (rental.created_at or rental.intended_at)
    event = span_draft(SPAN, summary, labels, error="instance_failed", duration_ms=took)
    save_rental(
        phase, replace(rental, state=RentalState.DESTROY_PENDING, destroying_since=ports.clock()), event
    )
    return Step(False, 0)


def _look_for_port(rental: Rental, instance: Instance, phase: Phase, ports: RentPorts) -> Step:
    now = ports.clock()
    if instance.address is None:
        mapped_by = rental.mapped_by or now + MAPPING_MS
        if now >= mapped_by:
            return give_up(rental, "instance has no port", phase, ports)
        save_rental(phase, replace(rental, mapped_by=mapped_by, odd_polls=0))
        return Step(False, ports.poll_seconds)
    host, port = instance.address
    try:
        url = ports.backends.check_url(f"http://{f'[{host}]' if ':' in host else host}:{port}").url
    except (AddressNotAllowed, AddressUnresolved):
        return give_up(rental, "instance has an address that the policy does not allow", phase, ports)
    took = now - (rental.created_at or now)
    event = span_draft(SPAN, "instance is running", {"contract_id": rental.contract_id}, duration_ms=took)
    ready = replace(rental, state=RentalState.RUNNING, ready_at=now, odd_polls=0)
    save_rental(phase, ready, event, backend_url=url)
    return Step(True, 0)


def _label_again(rental: Rental, phase: Phase, ports: RentPorts) -> Step:
    """Set the label once more. An instance that does not take it cannot be kept (jobs-api.md 6.3)."""
    if rental.relabelled:
        raise phase.fail(SPAN, "INSTANCE_FAILED", INSTANCE_FAILED, {"contract_id": rental.contract_id})
    ports.market.label(rental.contract_id, rental.label)
    save_rental(phase, replace(rental, relabelled=True))
    return Step(False)


def _show(rental: Rental, instance: Instance | None, state: Boot, phase: Phase) -> None:
    said = instance.message if instance else ""
    if state is Boot.STRANGE and instance is not None:
        said = f"{instance.status}: {said}".strip(": ")
    if said == rental.said and rental in phase.run.rentals:
        return
    if state is Boot.STRANGE and said != rental.said:
        logger.warning("an instance has a status that nobody knows")
    drafts = [EventDraft("run_progress", {"summary": f"instance: {said}"})] if said != rental.said else []
    save_rental(phase, replace(rental, said=said), *drafts)
