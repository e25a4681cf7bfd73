"""The container Lambda: one attempt of one run per event, the event being the task (holmes-driver.md 2.9)."""

from __future__ import annotations

import os
from typing import Any

from rune_common.domain.executions import AgentTask
from rune_common.settings import Settings
from rune_common.wiring import attempt_on


def handler(event: dict[str, Any], context: object) -> dict[str, str]:
    """The agent's library is imported by a child process, never during this function's init."""
    task = AgentTask(**event)
    attempt_on(Settings.from_env(os.environ), task)
    return {"attempt_id": task.attempt_id}
