"""The state machine of agent runs in the interpreter that the local stack uses, with scripted tasks."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

ROOT = Path(__file__).parents[2]
MACHINE = ROOT / "statemachines" / "run_agent.asl.json"
INPUT = {"tenant": "default", "run_id": "0192f0c1-0000-7000-8000-000000000001", "attempt": 0}
PATIENCE_SECONDS = 60

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class TaskError(Exception):
    """What a function raises; Lambda reports `name` as errorType."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Functions:
    """Every task of the machine. `script` changes what one answers; `calls` is what was asked, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Answer] = {
            "AdmitRunFunction": lambda _: {"go": True, "waits": False},
            "PrepareBackendFunction": lambda _: {"ready": True},
            "StartAgentFunction": lambda _: {},
            "RecordOutcomeFunction": lambda _: {"again": False},
        }

    def script(self, name: str, *steps: dict[str, Any] | TaskError) -> None:
        """Answer with the steps in turn, and with the last of them from then on."""
        left = list(steps)

        def answer(_: dict[str, Any]) -> dict[str, Any]:
            step = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(step, TaskError):
                raise step
            return step

        self.answers[name] = answer

    def failing_once(self, name: str, error: str) -> None:
        """Fail with an error, then answer as before."""
        before, failures = self.answers[name], [TaskError(error)]

        def answer(payload: dict[str, Any]) -> dict[str, Any]:
            if failures:
                raise failures.pop()
            return before(payload)

        self.answers[name] = answer

    def invoke(self, name: str, payload: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((name, payload))
        return self.answers[name](payload)

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def payloads(self, name: str) -> list[dict[str, Any]]:
        return [payload for called, payload in self.calls if called == name]


class InvokeHandler(BaseHTTPRequestHandler):
    """Lambda's Invoke operation."""

    functions: Functions

    def do_POST(self) -> None:
        found = re.fullmatch(r"/2015-03-31/functions/(.+)/invocations", self.path)
        assert found is not None
        name = found[1].replace("%3A", ":").rsplit(":", 1)[-1]
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        error = {}
        try:
            body: dict[str, Any] = self.functions.invoke(name, payload)
        except TaskError as exc:
            body, error = (
                {"errorType": exc.name, "errorMessage": "scripted"},
                {"X-Amz-Function-Error": "Unhandled"},
            )
        content = json.dumps(body).encode()
        self.send_response(200)
        for header, value in {"Content-Length": str(len(content)), **error}.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def quick(machine: dict[str, Any]) -> dict[str, Any]:
    """The same machine with the shortest waits, so that a test can wait for them."""
    for state in machine["States"].values():
        if "Seconds" in state:
            state["Seconds"] = 1
        if "pause_seconds" in state.get("Parameters", {}):
            state["Parameters"]["pause_seconds"] = 1
        if "HeartbeatSeconds" in state:
            state["HeartbeatSeconds"] = 2
        for retrier in state.get("Retry", ()):
            retrier.update(IntervalSeconds=1, BackoffRate=1)
            retrier.pop("MaxDelaySeconds", None)
    return machine


class Stack:
    """The machine, deployed in the interpreter of this process."""

    def __init__(self, functions: Functions) -> None:
        self.functions = functions
        self.client = boto3.client("stepfunctions", region_name="us-east-1")
        text = re.sub(
            r"\$\{(\w+)Arn\}", r"arn:aws:lambda:us-east-1:123456789012:function:\1", MACHINE.read_text()
        )
        self.arn = self.client.create_state_machine(
            name="run-agent",
            definition=json.dumps(quick(json.loads(text))),
            roleArn="arn:aws:iam::123456789012:role/machine",
        )["stateMachineArn"]

    def run(self) -> dict[str, Any]:
        """Start an execution, wait for its end, and give its description."""
        execution = self.client.start_execution(stateMachineArn=self.arn, input=json.dumps(INPUT))[
            "executionArn"
        ]
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            found: dict[str, Any] = self.client.describe_execution(executionArn=execution)
            if found["status"] != "RUNNING":
                return found
            time.sleep(0.02)
        raise AssertionError(f"the execution did not end: {self.functions.names()}")

    def answering(self, *answers: tuple[str, ...]) -> Answer:
        """A start_agent whose agents answer in turn, each from a thread of its own; the last one repeats.

        An answer is ("success",), ("paused",), ("failure", error) or ("silence",).
        """
        left = list(answers)

        def start(payload: dict[str, Any]) -> dict[str, Any]:
            answer = left.pop(0) if len(left) > 1 else left[0]
            threading.Thread(target=self._answer, args=(payload["task_token"], answer), daemon=True).start()
            return {}

        return start

    def _answer(self, token: str, answer: tuple[str, ...]) -> None:
        # The interpreter registers a token only after the function has returned.
        for _ in range(200):
            time.sleep(0.05)
            try:
                match answer:
                    case ("success",):
                        self.client.send_task_success(
                            taskToken=token, output=json.dumps({"outcome": "completed"})
                        )
                    case ("paused",):
                        self.client.send_task_success(
                            taskToken=token, output=json.dumps({"outcome": "approval_required"})
                        )
                    case ("failure", error):
                        self.client.send_task_failure(taskToken=token, error=error, cause="{}")
                return
            except self.client.exceptions.TaskDoesNotExist:
                continue


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    found = Functions()
    handler = type("Handler", (InvokeHandler,), {"functions": found})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{server.server_port}")
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def stack(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        yield Stack(functions)


def test_a_run_is_admitted_prepared_asked_and_recorded_with_ids_only(
    functions: Functions, stack: Stack
) -> None:
    functions.answers["StartAgentFunction"] = stack.answering(("success",))
    ended = stack.run()
    assert ended["status"] == "SUCCEEDED"
    assert functions.names() == [
        "AdmitRunFunction",
        "PrepareBackendFunction",
        "StartAgentFunction",
        "RecordOutcomeFunction",
    ]
    asked = functions.payloads("StartAgentFunction")[0]
    assert asked == {**INPUT, "task_token": asked["task_token"]}
    assert functions.payloads("AdmitRunFunction") == functions.payloads("PrepareBackendFunction") == [INPUT]
    assert functions.payloads("RecordOutcomeFunction") == [{**INPUT, "error": None}]


def test_a_run_that_has_ended_meanwhile_is_left_alone(functions: Functions, stack: Stack) -> None:
    functions.script("AdmitRunFunction", {"go": False, "waits": False})
    assert stack.run()["status"] == "SUCCEEDED"
    assert functions.names() == ["AdmitRunFunction"]


def test_the_backend_is_waited_for(functions: Functions, stack: Stack) -> None:
    functions.script("PrepareBackendFunction", {"ready": False}, {"ready": True})
    functions.answers["StartAgentFunction"] = stack.answering(("success",))
    assert stack.run()["status"] == "SUCCEEDED"
    assert functions.names().count("PrepareBackendFunction") == 2


@pytest.mark.parametrize("error", ["RunFailure", "RunCancelled", "Sandbox.Timedout"])
@pytest.mark.parametrize("step", ["AdmitRunFunction", "PrepareBackendFunction", "StartAgentFunction"])
def test_a_step_that_fails_is_recorded_by_the_errors_name(
    functions: Functions, stack: Stack, step: str, error: str
) -> None:
    functions.script(step, TaskError(error))
    assert stack.run()["status"] == "SUCCEEDED"
    assert functions.names().count(step) == 1
    assert functions.payloads("RecordOutcomeFunction") == [{**INPUT, "error": error}]


@pytest.mark.parametrize("step", list(Functions().answers))
def test_a_dependency_that_does_not_answer_is_tried_again(
    functions: Functions, stack: Stack, step: str
) -> None:
    functions.answers["StartAgentFunction"] = stack.answering(("success",))
    functions.failing_once(step, "Unavailable")
    assert stack.run()["status"] == "SUCCEEDED"
    assert functions.names().count(step) == 2
    assert functions.payloads("RecordOutcomeFunction")[-1]["error"] is None


@pytest.mark.parametrize(
    ("first", "names"),
    [
        (("failure", "Rune.Transient"), {"Rune.Transient"}),
        # The interpreter calls a lost heartbeat by the wider of the two names.
        (("silence",), {"States.HeartbeatTimeout", "States.Timeout"}),
    ],
    ids=["transient", "silent"],
)
def test_an_attempt_is_repeated_under_a_new_token_when_the_record_says_so(
    functions: Functions, stack: Stack, first: tuple[str, ...], names: set[str]
) -> None:
    functions.answers["StartAgentFunction"] = stack.answering(first, ("success",))
    functions.script("RecordOutcomeFunction", {"again": True}, {"again": False})
    assert stack.run()["status"] == "SUCCEEDED"
    errors = [payload["error"] for payload in functions.payloads("RecordOutcomeFunction")]
    assert errors[0] in names
    assert errors[1:] == [None]
    tokens = [payload["task_token"] for payload in functions.payloads("StartAgentFunction")]
    assert len(tokens) == len(set(tokens)) == 2


@pytest.mark.parametrize("error", ["Rune.Permanent", "Rune.Cancelled", "Rune.Transient"])
def test_an_agents_failure_is_final_when_the_record_says_so(
    functions: Functions, stack: Stack, error: str
) -> None:
    functions.answers["StartAgentFunction"] = stack.answering(("failure", error))
    assert stack.run()["status"] == "SUCCEEDED"
    assert functions.names().count("StartAgentFunction") == 1
    assert functions.payloads("RecordOutcomeFunction") == [{**INPUT, "error": error}]


def test_an_outcome_that_cannot_be_recorded_fails_the_execution(functions: Functions, stack: Stack) -> None:
    functions.script("PrepareBackendFunction", TaskError("RunFailure"))
    functions.script("RecordOutcomeFunction", TaskError("Misconfigured"))
    ended = stack.run()
    assert (ended["status"], ended["error"]) == ("FAILED", "OutcomeNotRecorded")
    assert functions.names().count("RecordOutcomeFunction") > 1


def deciding(functions: Functions, stack: Stack) -> None:
    """A wait for approval that is answered from a thread of its own."""
    functions.answers["AwaitApprovalFunction"] = stack.answering(("success",))


def test_a_paused_agent_waits_for_its_decision_and_is_asked_again(functions: Functions, stack: Stack) -> None:
    functions.answers["StartAgentFunction"] = stack.answering(("paused",), ("paused",), ("success",))
    deciding(functions, stack)
    assert stack.run()["status"] == "SUCCEEDED"
    assert functions.names()[2:] == [
        *("StartAgentFunction", "AwaitApprovalFunction"),
        *("StartAgentFunction", "AwaitApprovalFunction"),
        *("StartAgentFunction", "RecordOutcomeFunction"),
    ]
    waited = functions.payloads("AwaitApprovalFunction")
    assert waited[0] == {**INPUT, "task_token": waited[0]["task_token"]}
    tokens = [each["task_token"] for each in (*waited, *functions.payloads("StartAgentFunction"))]
    assert len(set(tokens)) == 5
    assert functions.payloads("RecordOutcomeFunction") == [{**INPUT, "error": None}]


def test_a_decision_that_came_before_the_wait_is_not_waited_for(functions: Functions, stack: Stack) -> None:
    functions.answers["StartAgentFunction"] = stack.answering(("paused",), ("success",))
    functions.script("AwaitApprovalFunction", TaskError("WaitOver"))
    assert stack.run()["status"] == "SUCCEEDED"
    assert functions.names().count("StartAgentFunction") == 2
    assert functions.payloads("RecordOutcomeFunction") == [{**INPUT, "error": None}]


def test_a_run_that_was_taken_up_while_it_waited_goes_on_waiting(functions: Functions, stack: Stack) -> None:
    functions.script("AdmitRunFunction", {"go": True, "waits": True})
    functions.answers["StartAgentFunction"] = stack.answering(("success",))
    deciding(functions, stack)
    assert stack.run()["status"] == "SUCCEEDED"
    assert functions.names() == [
        *("AdmitRunFunction", "AwaitApprovalFunction"),
        *("StartAgentFunction", "RecordOutcomeFunction"),
    ]


def test_a_wait_that_fails_is_recorded(functions: Functions, stack: Stack) -> None:
    functions.answers["StartAgentFunction"] = stack.answering(("paused",))
    functions.script("AwaitApprovalFunction", TaskError("RunNotFound"))
    assert stack.run()["status"] == "SUCCEEDED"
    assert functions.payloads("RecordOutcomeFunction") == [{**INPUT, "error": "RunNotFound"}]
