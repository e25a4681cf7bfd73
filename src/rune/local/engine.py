"""Step Functions on this machine: moto's interpreter, in process, over the deployed state machines."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rune.local.invoke import Handler, InvokeServer

ACCOUNT = "123456789012"
REGION = "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/local"
KEPT_EXECUTIONS = 200
"""moto keeps every execution; the oldest finished ones beyond this number are forgotten."""


def machine_arn(name: str) -> str:
    return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{name}"


class Engine:
    """Built cheap; the interpreter (about 1 s of CPU and 120 MB) is loaded when the first run starts."""

    def __init__(self, machines: Path, handlers: Mapping[str, Handler]) -> None:
        self._machines = machines
        self._invoke = InvokeServer(handlers)
        self._client: Any = None
        self._mock: Any = None
        self._lock = threading.Lock()
        self._calls = 0

    def client(self) -> Any:
        """A Step Functions client whose state machines exist."""
        with self._lock:
            if self._client is None:
                self._client = self._load()
            self._calls += 1
            if self._calls % KEPT_EXECUTIONS == 0:
                self._forget_finished()
        return self._client

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._mock.stop()
                self._invoke.stop()
                self._client = None

    def _load(self) -> Any:
        self._invoke.start()
        # moto builds its Lambda client itself and takes the endpoint from the environment only.
        os.environ["AWS_ENDPOINT_URL_LAMBDA"] = self._invoke.url
        from moto import mock_aws

        self._mock = mock_aws(config={"stepfunctions": {"execute_state_machine": True}})
        self._mock.start(reset=False)
        import boto3

        client = boto3.client("stepfunctions", region_name=REGION)
        for path in sorted(self._machines.glob("*.asl.json")):
            name = path.name.removesuffix(".asl.json")
            client.create_state_machine(name=name, definition=definition(path.read_text()), roleArn=ROLE)
        return client

    def _forget_finished(self) -> None:
        from moto.stepfunctions.parser.models import stepfunctions_parser_backends

        for machine in stepfunctions_parser_backends[ACCOUNT][REGION].state_machines:
            finished = [each for each in machine.executions if each.status != "RUNNING"]
            for execution in finished[:-KEPT_EXECUTIONS]:
                machine.executions.remove(execution)


def definition(text: str) -> str:
    """A state machine with its `${VerbNounFunctionArn}` substitutions made, as the deployment makes them."""
    filled = re.sub(r"\$\{(\w+)FunctionArn\}", lambda found: function_arn(snake(found[1])), text)
    json.loads(filled)
    return filled


def function_arn(name: str) -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
