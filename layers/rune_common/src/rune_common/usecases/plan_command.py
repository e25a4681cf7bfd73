"""Plans of the kind `command` (runs-api.md 2.3)."""

from __future__ import annotations

import json

from rune_common.domain.commands import CommandRequest
from rune_common.usecases.plan_job import Plan, Planning

SEALED = "command"
"""Under this name the run's secrets have the command: its environment may hold some."""

HIDDEN = "[REDACTED:env]"


def plan_command(asked: CommandRequest, planning: Planning) -> Plan:
    """What is shown of the command has no value of its environment, and is redacted as all that is logged."""
    spec = asked.spec
    shown = {**spec.document(), "env": dict.fromkeys(spec.env, HIDDEN)}
    return Plan(
        {"command": shown, "timeout_seconds": asked.timeout_seconds},
        timeout_seconds=asked.timeout_seconds,
        secrets={SEALED: json.dumps(spec.document())},
    )
