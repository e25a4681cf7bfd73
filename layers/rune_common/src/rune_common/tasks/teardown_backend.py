from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rune_common.tasks.renting import rent_ports
from rune_common.usecases.teardown_backend import teardown_backend
from rune_common.wiring import Services


def task(event: Mapping[str, Any], services: Services) -> dict[str, Any]:
    """`{tenant, run_id, error}` to `{done, again, pending, wait_seconds}`; `error` is the name of what failed."""
    step = teardown_backend(
        event["tenant"], event["run_id"], error=event.get("error"), ports=rent_ports(services)
    )
    return asdict(step)
