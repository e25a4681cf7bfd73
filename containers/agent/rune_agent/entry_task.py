"""The Fargate task: one attempt of one run, named by `RUNE_TASK` (holmes-driver.md 2.9).

Runs in the container's product environment; the driver that it starts runs in the agent's.
"""

from __future__ import annotations

import json
import os

from rune_common.domain.executions import AgentTask
from rune_common.settings import Settings
from rune_common.wiring import attempt_on


def main() -> None:
    """The run, and not the exit code, says how the attempt ended."""
    task = AgentTask(**json.loads(os.environ.pop("RUNE_TASK")))
    attempt_on(Settings.from_env(os.environ), task)


if __name__ == "__main__":
    main()
