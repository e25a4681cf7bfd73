from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rune_common.tasks.renting import failure_noted, rent_ports
from rune_common.usecases.record_result import ResultPorts, record_result
from rune_common.wiring import Services


def task(event: Mapping[str, Any], services: Services) -> dict[str, Any]:
    """`{tenant, run_id}` to `{}`. Raises RunFailure, whose reason is kept in the run, and RunCancelled."""
    ports = ResultPorts(
        rent=rent_ports(services),
        servers=services.servers,
        prices=services.price_table,
        default_max_dph=services.settings.vastai_max_dph,
    )
    with failure_noted(event, services):
        record_result(event["tenant"], event["run_id"], ports=ports)
    return {}
