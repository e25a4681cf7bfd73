from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rune_common.usecases.advance_chain import ChainPorts, advance_chain
from rune_common.wiring import Services


def task(event: Mapping[str, Any], services: Services) -> dict[str, Any]:
    """`{tenant, run_id, task_token}` to `{}`; the token is answered with `{done, pause_seconds}`."""
    ports = ChainPorts(
        runs=services.runs,
        agents=services.agents,
        callbacks=services.callbacks,
        clock=services.clock,
        redactor=services.redactor,
        driver_timeout=services.settings.driver_timeout,
    )
    advance_chain(event["tenant"], event["run_id"], event["task_token"], ports=ports)
    return {}
