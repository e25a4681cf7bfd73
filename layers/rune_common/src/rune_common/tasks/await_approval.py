from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rune_common.usecases.await_approval import await_approval
from rune_common.wiring import Services


def task(event: Mapping[str, Any], services: Services) -> dict[str, Any]:
    """`{tenant, run_id, task_token}` to `{}`; the decision answers the token. Raises WaitOver if there is one."""
    await_approval(
        event["tenant"],
        event["run_id"],
        event["task_token"],
        runs=services.runs,
        clock=services.clock,
        redactor=services.redactor,
    )
    return {}
