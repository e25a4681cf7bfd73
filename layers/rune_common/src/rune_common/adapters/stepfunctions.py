"""Step Functions: starting executions and answering task tokens. boto3, built at the first call."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from rune_common.domain.errors import Unavailable
from rune_common.domain.runs import Run, RunKind

LATE = frozenset({"InvalidToken", "TaskTimedOut", "TaskDoesNotExist"})
EXISTS = "ExecutionAlreadyExists"


class StepFunctionsExecutions:
    """Executions of the state machine of a run's kind, named by run and attempt, so that a repeated start is
    harmless. `machines` has the kinds that have one of their own; `machine_arn` is for all others.
    """

    def __init__(
        self,
        machine_arn: str,
        client: Callable[[], Any],
        machines: Mapping[RunKind, str] | None = None,
    ) -> None:
        self._arn, self._client, self._machines = machine_arn, client, machines or {}

    def start(self, run: Run) -> None:
        """Raises Unavailable."""
        name = f"{run.run_id}-{run.attempt}"
        document = {"tenant": run.tenant, "run_id": run.run_id, "attempt": run.attempt, "kind": run.kind}
        _call(
            self._client().start_execution,
            expected=frozenset({EXISTS}),
            stateMachineArn=self._machines.get(run.kind, self._arn),
            name=name,
            input=json.dumps(document),
        )


class StepFunctionsCallbacks:
    """Answers of waiting tasks; an answer that comes too late is ignored (holmes-driver.md 2.9)."""

    def __init__(self, client: Callable[[], Any]) -> None:
        self._client = client

    def succeed(self, task_token: str, output: Mapping[str, Any]) -> bool:
        client = self._client()
        return _call(client.send_task_success, expected=LATE, taskToken=task_token, output=json.dumps(output))

    def fail(self, task_token: str, error: str, cause: str = "") -> bool:
        client = self._client()
        return _call(client.send_task_failure, expected=LATE, taskToken=task_token, error=error, cause=cause)

    def heartbeat(self, task_token: str) -> bool:
        return _call(self._client().send_task_heartbeat, expected=LATE, taskToken=task_token)


def _call(operation: Callable[..., Any], *, expected: frozenset[str], **arguments: Any) -> bool:
    """True when the call was taken, False for an expected refusal. Everything else is Unavailable."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        operation(**arguments)
    except ClientError as exc:
        if exc.response["Error"]["Code"] in expected:
            return False
        raise Unavailable("Step Functions refused a call") from exc
    except BotoCoreError as exc:
        raise Unavailable("Step Functions does not answer") from exc
    return True
