"""Choose an offer and rent it: reservation, intent, create call, in that order (jobs-api.md 6.2, 6.3, 7.3)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from rune_common.domain.errors import SpendLimitExceeded, Unavailable
from rune_common.domain.events import EventDraft
from rune_common.domain.finops import gpu_quotes
from rune_common.domain.gpu_market import (
    AmbiguousCreate,
    KeyRefused,
    Launch,
    MarketRefused,
    MarketUnavailable,
    Offer,
    OfferGone,
    OfferQuery,
)
from rune_common.domain.labels import OwnerLabel, owner_label
from rune_common.domain.money import from_micro, micro_usd
from rune_common.domain.offers import Choice, choices
from rune_common.domain.rentals import MAX_INSTANCES, Rental, total_cost
from rune_common.domain.spend import price_cap, reservation, spend_day
from rune_common.usecases.destroy_rental import nothing_created
from rune_common.usecases.phase import Phase, span_draft
from rune_common.usecases.renting import RentPorts, Step, Terms, save_rental

OFFERS_PER_STEP = 10
OLLAMA_ENV = {"OLLAMA_HOST": "0.0.0.0:11434"}
NO_OFFER = "no offer matches the request"
INSTANCE_FAILED = "the rented instance failed"
TOO_EXPENSIVE = "projected cost exceeds the spend limit"
NOT_CONFIGURED = "provider is not configured"
REFUSED = "the provider refused to create an instance"


def rent_next(phase: Phase, terms: Terms, ports: RentPorts) -> Step:
    """Rent the best offer that was not tried yet. Raises RunFailure and RunCancelled."""
    if sum(1 for each in phase.run.rentals if each.contract_id) >= MAX_INSTANCES:
        raise phase.fail("vastai.instance.create", "INSTANCE_FAILED", INSTANCE_FAILED)
    phase.check("vastai.offer_search")
    limit = _job_limit(phase, terms, ports)
    try:
        found = _search(phase, terms, limit, ports)
    except MarketUnavailable:
        return Step(False, ports.poll_seconds)
    for choice in found[:OFFERS_PER_STEP]:
        step = _try_offer(choice, limit, phase, terms, ports)
        if step is not None:
            return step
    return Step(False)


def _job_limit(phase: Phase, terms: Terms, ports: RentPorts) -> int:
    """What the rest of the job may cost: the day's money counts what this job has settled already."""
    now, run = ports.clock(), phase.run
    spent_today = ports.ledger.spent(run.tenant, spend_day(now))
    left_today = terms.limits.job_limit(spent_today=spent_today, max_cost_usd=terms.max_cost_usd)
    whole = terms.limits.job_limit(spent_today=0, max_cost_usd=terms.max_cost_usd)
    return max(0, min(left_today, whole - total_cost(run.rentals, now)))


def _search(phase: Phase, terms: Terms, limit: int, ports: RentPorts) -> list[Choice]:
    try:
        cap = price_cap(terms.min_dph, terms.max_dph, terms.timeout_seconds, limit)
    except SpendLimitExceeded:
        raise phase.fail("cost.admission", "SPEND_LIMIT_EXCEEDED", TOO_EXPENSIVE) from None
    query = OfferQuery(terms.min_dph, float(cap), terms.vram_mb, terms.disk_gb, terms.reliability)
    try:
        offers = ports.market.search(query)
    except KeyRefused:
        raise phase.fail("vastai.offer_search", "INSTANCE_FAILED", NOT_CONFIGURED) from None
    except MarketRefused:
        raise phase.fail("vastai.offer_search", "INSTANCE_FAILED", REFUSED) from None
    _remember_prices(offers, ports)
    tried = {each.offer_id for each in phase.run.rentals}
    found = [each for each in choices(offers, query, phase.run.model) if each.offer_id not in tried]
    labels = {"offers": len(offers), "fitting": len(found), "max_dph": query.max_dph}
    if not found and any(each.contract_id for each in phase.run.rentals):
        raise phase.fail("vastai.offer_search", "INSTANCE_FAILED", INSTANCE_FAILED, labels)
    if not found:
        raise phase.fail("vastai.offer_search", "NO_OFFER", NO_OFFER, labels)
    phase.done("vastai.offer_search", f"{len(found)} offers fit", labels, ends=False)
    return found


def _remember_prices(offers: Sequence[Offer], ports: RentPorts) -> None:
    """Simulations of costs use what was seen last (jobs-api.md 7.2)."""
    single = ((each.gpu_name, each.dph) for each in offers if each.fit and each.gpus == 1 and each.dph)
    with suppress(Unavailable):
        for quote in gpu_quotes(single, seen_at=ports.clock()):
            ports.quotes.remember(quote)


def _try_offer(choice: Choice, limit: int, phase: Phase, terms: Terms, ports: RentPorts) -> Step | None:
    """None when the offer is gone: the next one is tried."""
    phase.check("vastai.instance.create")
    run, now = phase.run, ports.clock()
    label = owner_label(
        ports.deployment_id,
        run.run_id,
        deadline_ms=run.deadline_at or now + terms.timeout_seconds * 1000,
        lease_seconds=terms.kept_seconds,
    )
    rental = Rental(
        label=str(label),
        offer_id=choice.offer_id,
        dph_micro_usd=micro_usd(choice.dph),
        intended_at=now,
        spend_day=spend_day(now),
        reservation=f"{run.run_id}/{len(run.rentals) + 1}",
        limit_micro_usd=limit + total_cost(run.rentals, now),
    )
    amount = reservation(choice.dph, terms.timeout_seconds, terms.kept_seconds, limit)
    try:
        ports.ledger.reserve(run.tenant, rental.reservation, amount, rental.spend_day, terms.limits.per_day)
    except SpendLimitExceeded:
        # Another job was faster: the next step finds less money, and perhaps a cheaper offer.
        return Step(False)
    _store_intent(rental, label, choice, amount, phase, ports)
    return _create(rental, choice, phase, terms, ports)


def _store_intent(
    rental: Rental, label: OwnerLabel, choice: Choice, amount: int, phase: Phase, ports: RentPorts
) -> None:
    """From here on the instance is known to be ours, whatever becomes of this process (G2)."""
    ports.rented.note(phase.run.run_id, phase.run.tenant, expires_at=label.expires_at)
    reserved = from_micro(amount)
    labels = {"reserved_usd": reserved, "dph": choice.dph, "offer_id": choice.offer_id}
    admitted = span_draft("cost.admission", f"{reserved:.6f} USD set aside", labels)
    save_rental(phase, rental, admitted, model=phase.run.model or choice.model)


def _create(rental: Rental, choice: Choice, phase: Phase, terms: Terms, ports: RentPorts) -> Step | None:
    launch = Launch(rental.label, terms.disk_gb, terms.template_hash, OLLAMA_ENV)
    asked_at = ports.clock()
    try:
        contract = ports.market.create(choice.offer_id, launch)
    except OfferGone:
        nothing_created(rental, phase, ports)
        return None
    except MarketUnavailable:
        nothing_created(rental, phase, ports)
        return Step(False, ports.poll_seconds)
    except AmbiguousCreate:
        save_rental(phase, replace(rental, unclear_since=ports.clock()))
        return Step(False)
    except MarketRefused:
        nothing_created(rental, phase, ports)
        raise phase.fail("vastai.instance.create", "INSTANCE_FAILED", REFUSED) from None
    save_contract(replace(rental, contract_id=contract, created_at=asked_at), phase, choice)
    return Step(False)


def save_contract(rental: Rental, phase: Phase, choice: Choice | None = None) -> Rental:
    """Store the contract at once: from now on it is destroyed by its id."""
    labels = {"contract_id": rental.contract_id, "offer_id": rental.offer_id, "dph": rental.dph}
    gpu = {"gpu": choice.gpu_name} if choice else {}
    event: EventDraft = span_draft("vastai.instance.create", "instance created", {**labels, **gpu})
    return save_rental(phase, rental, event)
