from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rune_common.tasks.renting import failure_noted, rent_ports
from rune_common.usecases.acquire_backend import acquire_backend
from rune_common.wiring import Services


def task(event: Mapping[str, Any], services: Services) -> dict[str, Any]:
    """`{tenant, run_id}` to `{ready, wait_seconds}`. Raises RunFailure, whose reason is kept, and RunCancelled."""
    with failure_noted(event, services):
        step = acquire_backend(event["tenant"], event["run_id"], ports=rent_ports(services))
    return {"ready": step.done, "wait_seconds": step.wait_seconds}
