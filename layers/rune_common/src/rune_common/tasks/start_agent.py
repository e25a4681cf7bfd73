from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from rune_common.domain.executions import AgentTask
from rune_common.usecases.start_attempt import start_attempt
from rune_common.wiring import Services


def task(event: Mapping[str, Any], services: Services) -> dict[str, Any]:
    """`{tenant, run_id, task_token}` to `{attempt_id}`; the agent's end answers the token.

    The attempt's id follows from the token, so a repeated invocation begins no new attempt.
    """
    token = event["task_token"]
    started = AgentTask(
        event["tenant"], event["run_id"], hashlib.sha256(token.encode()).hexdigest()[:16], token
    )
    start_attempt(
        started,
        runs=services.runs,
        agents=services.agents,
        clock=services.clock,
        redactor=services.redactor,
        driver_timeout=services.settings.driver_timeout,
    )
    return {"attempt_id": started.attempt_id}
