"""Where an agent's attempt runs: a thread with a driver process here, or a Lambda or Fargate task on AWS."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rune_common.domain.errors import Unavailable
from rune_common.domain.executions import AgentTask

LAMBDA_SECONDS = 780
"""Longer attempts go to Fargate (holmes-driver.md 1.1)."""

logger = logging.getLogger("rune.agents")


class LocalAgents:
    """Runs attempts in this process's threads; each has a driver process of its own."""

    def __init__(self, run: Callable[[AgentTask], None]) -> None:
        self._run = run

    def start(self, task: AgentTask, *, timeout_seconds: int) -> None:
        threading.Thread(
            target=self._guarded, args=(task,), name=f"attempt-{task.attempt_id}", daemon=True
        ).start()

    def _guarded(self, task: AgentTask) -> None:
        try:
            self._run(task)
        except Exception:
            # The token stays unanswered: the state machine sees the silence and decides.
            logger.exception("an attempt ended by an error", extra={"run_id": task.run_id})


@dataclass(frozen=True, slots=True)
class FargatePlace:
    cluster: str
    task_definition: str
    subnets: Sequence[str]
    security_groups: Sequence[str]


class AwsAgents:
    """A container Lambda for short attempts, a Fargate task for long ones. Clients are built when used."""

    def __init__(
        self,
        *,
        function: str,
        fargate: FargatePlace | None,
        lambda_client: Callable[[], Any],
        ecs_client: Callable[[], Any],
    ) -> None:
        self._function, self._fargate = function, fargate
        self._lambda, self._ecs = lambda_client, ecs_client

    def start(self, task: AgentTask, *, timeout_seconds: int) -> None:
        """Raises Unavailable."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            if timeout_seconds <= LAMBDA_SECONDS or self._fargate is None:
                self._invoke(task)
            else:
                self._run_task(task, self._fargate)
        except (BotoCoreError, ClientError) as exc:
            raise Unavailable("the agent could not be started") from exc

    def _invoke(self, task: AgentTask) -> None:
        payload = json.dumps(asdict(task)).encode()
        self._lambda().invoke(FunctionName=self._function, InvocationType="Event", Payload=payload)

    def _run_task(self, task: AgentTask, place: FargatePlace) -> None:
        answer = self._ecs().run_task(
            cluster=place.cluster,
            taskDefinition=place.task_definition,
            launchType="FARGATE",
            clientToken=task.attempt_id,
            networkConfiguration={
                "awsvpcConfiguration": {
                    "subnets": list(place.subnets),
                    "securityGroups": list(place.security_groups),
                    "assignPublicIp": "DISABLED",
                }
            },
            overrides={
                "containerOverrides": [
                    {
                        "name": "agent",
                        "environment": [{"name": "RUNE_TASK", "value": json.dumps(asdict(task))}],
                    }
                ]
            },
        )
        if answer.get("failures"):
            raise Unavailable("the agent's task was not placed")
