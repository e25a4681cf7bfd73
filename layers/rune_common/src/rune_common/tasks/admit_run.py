from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rune_common.usecases.admit_run import admit_run
from rune_common.wiring import Services


def task(event: Mapping[str, Any], services: Services) -> dict[str, Any]:
    """`{tenant, run_id}` to `{go, waits}`: what there is left to do. Raises RunCancelled."""
    admitted = admit_run(
        event["tenant"], event["run_id"], runs=services.runs, clock=services.clock, redactor=services.redactor
    )
    return {"go": admitted.go, "waits": admitted.waits}
