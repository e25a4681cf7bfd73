"""
Starts the HolmesGPT driver in the agent's own interpreter (holmes-driver.md 1.1).

The agent's library pins versions that the product cannot share, so this module becomes that other
Python. `RUNE_AGENT_PYTHON` names it, default `.venv-agent/bin/python` under the working directory.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from uuid import uuid4

from rune_common.domain.driver_protocol import MalformedLine, failure, parse_request

DEFAULT_PYTHON = ".venv-agent/bin/python"


def agent_command(environment: Mapping[str, str]) -> list[str] | None:
    """The agent's command line, or None when its interpreter is not there."""
    python = shutil.which(environment.get("RUNE_AGENT_PYTHON") or DEFAULT_PYTHON)
    return [python, "-m", "rune_agent.entry_stdio"] if python else None


def main() -> int:
    command = agent_command(os.environ)
    if command is not None:
        os.execv(command[0], command)
    sys.stdout.buffer.write(_not_installed(sys.stdin.buffer.readline()))
    return 0


def _not_installed(line: bytes) -> bytes:
    try:
        request_id = parse_request(line, new_id=str(uuid4())).id
    except MalformedLine:
        request_id = ""
    text = "the agent is not installed: build its environment with `make agent-venv`"
    return failure("agent_not_installed", text).line(request_id)


if __name__ == "__main__":
    raise SystemExit(main())
