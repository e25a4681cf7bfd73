"""Plans of the kind `command` (runs-api.md 2.3)."""

from __future__ import annotations

import json

from rune_common.domain.commands import CommandSpec
from rune_common.usecases.plan_job import Plan, Planning


def plan_command(asked: CommandSpec, planning: Planning) -> Plan:
    """The command itself is kept sealed: its environment may hold secrets. What is shown of it is redacted."""
    shown = {**asked.document(), "env": {name: _HIDDEN for name in asked.env}}
    return Plan({"command": shown}, secrets={SEALED: json.dumps(asked.document())})


SEALED = "command"
_HIDDEN = "[REDACTED:env]"
