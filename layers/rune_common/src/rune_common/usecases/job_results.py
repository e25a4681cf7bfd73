"""What a job's result says beside its answer: server, contract, teardown, phases, cost (jobs-api.md 4.8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rune_common.domain.money import from_micro
from rune_common.domain.rentals import Rental, RentalState, total_cost
from rune_common.domain.runs import Run, RunKind

EMPTY: Mapping[str, Any] = {"artifacts": [], "metadata": {}, "telemetry": {}, "token_usage": {}}
"""Always objects, `artifacts` always a list, whatever else a partial result lacks (jobs-api.md 1.3 T8)."""


def final_result(run: Run, stored: Mapping[str, Any] | None, *, now_ms: int) -> Mapping[str, Any] | None:
    """The result of a run that ends, or None when `stored` stays as it is.

    A benchmark that failed once it had a model server still tells what it used.
    """
    if run.kind is RunKind.CHAIN and stored and run.rentals:
        return {**stored, **_priced(stored, run, now_ms)}
    if run.kind is not RunKind.BENCHMARK or not (stored or run.backend_url or run.rentals):
        return None
    rental = _last(run)
    result = {
        **EMPTY,
        **(stored or {}),
        "model_name": run.model,
        "backend_url": run.backend_url,
        "contract_id": rental.contract_id if rental else None,
        "phases": [
            {"name": each.name, "status": each.status, "duration_ms": each.duration_ms} for each in run.phases
        ],
    }
    if rental is not None:
        result |= {"teardown": _teardown(rental), **_priced(result, run, now_ms)}
    return result


def _last(run: Run) -> Rental | None:
    return next((each for each in reversed(run.rentals) if each.contract_id), None)


def _teardown(rental: Rental) -> dict[str, Any]:
    gone = rental.state is RentalState.DESTROYED
    if gone:
        message = "instance is gone"
    elif rental.lease_expires_at is not None and rental.state is RentalState.RUNNING:
        message = "instance is kept until its lease ends"
    else:
        message = "instance could not be seen gone yet"
    return {
        "contract_id": rental.contract_id,
        "destroyed_instance": gone,
        "destroyed_volume_ids": [],
        "verification_ok": gone and rental.verified,
        "verification_message": message,
    }


def _priced(result: Mapping[str, Any], run: Run, now_ms: int) -> dict[str, Any]:
    """The instance's cost from create to its confirmed end, or until now (G5); tokens are paid with it."""
    cost = from_micro(total_cost(run.rentals, now_ms))
    telemetry = {key: value for key, value in result["telemetry"].items() if key != "unpriced"}
    return {
        "telemetry": {**telemetry, "cost_usd": cost, "cost_estimate_usd": cost},
        "metadata": {**result["metadata"], "cost": cost},
    }
