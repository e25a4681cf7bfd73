from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rune_common.usecases.expire_waits import expire_waits
from rune_common.wiring import Services


def task(event: Mapping[str, Any], services: Services) -> dict[str, Any]:
    """Called by the schedule; `{ended}` is how many runs were found lost."""
    ended = expire_waits(
        runs=services.runs,
        executions=services.executions,
        callbacks=services.callbacks,
        clock=services.clock,
        redactor=services.redactor,
        seal=services.evidence,
        owner=services.owner,
        max_running=services.settings.tenant_max_running_runs,
    )
    return {"ended": ended}
