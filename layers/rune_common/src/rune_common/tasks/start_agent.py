from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from rune_common.domain.errors import RunNotFound
from rune_common.domain.ports import AgentTask
from rune_common.wiring import Services


def task(event: Mapping[str, Any], services: Services) -> dict[str, Any]:
    """`{tenant, run_id, task_token}` to `{attempt_id}`; the agent's end answers the token.

    The attempt's id follows from the token, so a repeated invocation starts nothing new.
    """
    run = services.runs.get(event["tenant"], event["run_id"])
    if run is None:
        raise RunNotFound(event["run_id"])
    attempt_id = hashlib.sha256(event["task_token"].encode()).hexdigest()[:16]
    started = AgentTask(run.tenant, run.run_id, attempt_id, event["task_token"])
    services.agents.start(started, timeout_seconds=min(run.timeout_seconds, services.settings.driver_timeout))
    return {"attempt_id": attempt_id}
