from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rune_common.usecases.record_outcome import record_outcome
from rune_common.wiring import Services


def task(event: Mapping[str, Any], services: Services) -> dict[str, Any]:
    """`{tenant, run_id, error?: {Error}}` to `{again}`: whether the agent is to be asked once more."""
    error = event.get("error") or {}
    again = record_outcome(
        event["tenant"],
        event["run_id"],
        error=error.get("Error") if isinstance(error, Mapping) else str(error),
        runs=services.runs,
        clock=services.clock,
        redactor=services.redactor,
        seal=services.evidence,
    )
    return {"again": again}
