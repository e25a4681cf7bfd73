"""A model server for the run: the given one, or one that is rented (jobs-api.md 4.10 phases 2 and 3)."""

from __future__ import annotations

from dataclasses import replace

from rune_common.domain.errors import RunFailure
from rune_common.domain.gpu_market import MarketRefused, MarketUnavailable
from rune_common.domain.rentals import Rental, RentalState
from rune_common.domain.runs import PhaseRecord
from rune_common.usecases.change_run import Proposal
from rune_common.usecases.create_instance import INSTANCE_FAILED, rent_next, save_contract
from rune_common.usecases.destroy_rental import destroy_step, find_by_label, nothing_created
from rune_common.usecases.phase import Phase, ended
from rune_common.usecases.renting import RentPorts, Step, Terms, open_rental, save_rental
from rune_common.usecases.watch_instance import look_at_instance

SPAN = "vastai.instance.create"


def acquire_backend(tenant: str, run_id: str, *, ports: RentPorts) -> Step:
    """One step towards a model server. What was done is in the run's record, so repeating is harmless.

    Raises RunFailure with the code and text of what is wrong, and RunCancelled.
    """
    run = ports.runs.get(tenant, run_id)
    document = ports.runs.request_document(tenant, run_id)
    if run is None or run.terminal or document is None or run.backend_url:
        return Step(True, 0)
    phase = Phase(run, ports)
    terms = Terms.of(document, ports.limits)
    if terms is None:
        phase.begin("acquire", "job is running")
        return _acquired(phase, str(document.get("backend_url") or ""))
    phase.begin("acquire", "waiting for instance")
    step = _advance(phase, terms, ports)
    return _acquired(phase, phase.run.backend_url) if step.done else step


def _advance(phase: Phase, terms: Terms, ports: RentPorts) -> Step:
    rental = open_rental(phase.run)
    if rental is None:
        return rent_next(phase, terms, ports)
    if rental.state is RentalState.DESTROY_PENDING:
        return _end_failed(rental, phase, ports)
    if not rental.contract_id:
        return _find_out(rental, phase, ports)
    return look_at_instance(rental, phase, ports)


def _acquired(phase: Phase, url: str) -> Step:
    record = PhaseRecord("acquire", "ok", phase.ports.clock() - phase.began)
    phase.change(lambda run: Proposal(ended(replace(run, backend_url=url), record)))
    return Step(True, 0)


def _end_failed(rental: Rental, phase: Phase, ports: RentPorts) -> Step:
    phase.check(SPAN)
    if destroy_step(rental, phase, ports):
        return Step(False, 0)
    since = rental.destroying_since or ports.clock()
    if ports.clock() >= since + ports.teardown_timeout * 1000:
        raise phase.fail(SPAN, "INSTANCE_FAILED", INSTANCE_FAILED, {"contract_id": rental.contract_id})
    return Step(False, ports.poll_seconds)


def _find_out(rental: Rental, phase: Phase, ports: RentPorts) -> Step:
    """Nobody knows whether the create call succeeded: look for the label, wait, look again (6.3 step 4)."""
    phase.check(SPAN)
    since = rental.unclear_since or ports.clock()
    try:
        found = find_by_label(rental, phase, ports)
    except MarketUnavailable:
        return Step(False, ports.poll_seconds)
    except MarketRefused:
        raise _refused(phase) from None
    if found is not None:
        save_contract(found, phase)
        return Step(False, 0)
    left_ms = since + ports.recheck_seconds * 1000 - ports.clock()
    if rental.unclear_since is None:
        save_rental(phase, replace(rental, unclear_since=since))
    if left_ms > 0:
        return Step(False, min(ports.poll_seconds, -(-left_ms // 1000)))
    nothing_created(rental, phase, ports)
    return Step(False, 0)


def _refused(phase: Phase) -> RunFailure:
    return phase.fail(SPAN, "INSTANCE_FAILED", INSTANCE_FAILED)
