from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rune_common.adapters.metrics import write_metric
from rune_common.tasks.renting import rent_ports
from rune_common.usecases.reap_backends import Reaped, reap_backends
from rune_common.wiring import Services


def task(event: Mapping[str, Any], services: Services) -> dict[str, Any]:
    """Called by the schedule, and after a teardown that did not finish; `{acted, failures}`."""
    if not services.settings.vast_api_key:
        return asdict(Reaped())
    reaped = reap_backends(ports=rent_ports(services))
    if reaped.failures and services.settings.on_aws:
        write_metric("reaper_failures", reaped.failures, stage=services.settings.env, now_ms=services.clock())
    return asdict(reaped)
