"""Phase 7: what the work came to, before anything is torn down (jobs-api.md 4.8, 4.10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rune_common.domain.errors import BackendNotAllowed, Unavailable
from rune_common.domain.estimates import EstimateRequest, estimate
from rune_common.domain.model_servers import ListedModels, ModelServers
from rune_common.domain.price_tables import PriceTable
from rune_common.domain.rentals import Rental
from rune_common.domain.runs import Outcome, PhaseRecord, Run, RunKind, RunState
from rune_common.usecases.change_run import Proposal
from rune_common.usecases.phase import Phase, ended, span_draft
from rune_common.usecases.renting import RentPorts, Terms, open_rental
from rune_common.usecases.teardown_backend import start_lease
from rune_common.usecases.wait_ready import UNREACHABLE

SPAN = "result.record"


@dataclass(frozen=True, slots=True)
class ResultPorts:
    """`default_max_dph` caps an estimate's rented GPU, in $/h."""

    rent: RentPorts
    servers: ModelServers
    prices: PriceTable
    default_max_dph: float


def record_result(tenant: str, run_id: str, *, ports: ResultPorts) -> None:
    """Store the result of a kind that asks no agent, and log that there is one. Repeating changes nothing.

    Raises RunFailure and RunCancelled.
    """
    run = ports.rent.runs.get(tenant, run_id)
    document = ports.rent.runs.request_document(tenant, run_id)
    if run is None or run.terminal or document is None or _recorded(run):
        return
    phase = Phase(run, ports.rent)
    phase.begin("record", "job is running")
    result: Mapping[str, Any] | None = None
    if run.kind is RunKind.COST_ESTIMATE:
        asked = EstimateRequest(**document)
        found = estimate(asked, prices=ports.prices, default_max_dph=ports.default_max_dph)
        result = found.document()
    elif run.kind is RunKind.LLM_INSTANCE:
        result = _instance(phase, document, ports)
    _store(phase, result)


def _recorded(run: Run) -> bool:
    return any(each.name == "record" and each.status == "ok" for each in run.phases)


def _instance(phase: Phase, document: Mapping[str, Any], ports: ResultPorts) -> dict[str, Any]:
    listed = _models(phase, ports)
    result: dict[str, Any] = {
        "mode": "vastai" if phase.run.rentals else "existing",
        "backend_url": phase.run.backend_url,
        "backend_type": phase.run.backend_type,
        "models": list(listed.installed),
        "running_models": list(listed.running),
    }
    terms, rental = Terms.of(document, ports.rent.limits), open_rental(phase.run)
    if terms is not None and rental is not None:
        result |= _leased(start_lease(rental, phase, terms, ports.rent), phase.run)
    return result


def _leased(rental: Rental, run: Run) -> dict[str, Any]:
    return {
        "model_name": run.model,
        "contract_id": rental.contract_id,
        "dph": rental.dph,
        "lease_expires_at": (rental.lease_expires_at or 0) / 1000,
    }


def _models(phase: Phase, ports: ResultPorts) -> ListedModels:
    try:
        return ports.servers.open(phase.run.backend_type, phase.run.backend_url).list_models()
    except (Unavailable, BackendNotAllowed):
        raise phase.fail(SPAN, "BACKEND_NOT_READY", UNREACHABLE) from None


def _store(phase: Phase, result: Mapping[str, Any] | None) -> None:
    took = phase.ports.clock() - phase.began
    event = span_draft(SPAN, "result recorded", {"kind": phase.run.kind}, duration_ms=took)
    record = PhaseRecord("record", "ok", took)

    def decide(run: Run) -> Proposal:
        after = ended(run, record)
        if result is None:
            return Proposal(after, [event])
        succeeded = replace(after, outcome=Outcome(RunState.SUCCEEDED), has_result=True)
        return Proposal(succeeded, [event], result=result)

    phase.change(decide)
