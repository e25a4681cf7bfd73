"""The state machines are sound, and name functions and errors that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.deployment import ROOT, functions, resources, values

from rune_common.domain import errors
from rune_common.domain.approval_policy import MOST_SECONDS

MACHINES = sorted((ROOT / "statemachines").glob("*.asl.json"))
VALIDATOR = ROOT / "node_modules" / ".bin" / "asl-validator"
AGENT_ERRORS = {"Rune.Transient", "Rune.Permanent", "Rune.Cancelled"}
"""What an agent's supervisor answers a task token with (holmes-driver.md 2.9)."""

AWS_ERRORS = ("States.", "Lambda.")
RESOURCES = {"arn:aws:states:::lambda:invoke", "arn:aws:states:::lambda:invoke.waitForTaskToken"}
"""One ASL file runs everywhere: what else there is, the local interpreter cannot do (design.md 7)."""

DEPENDENCY_ERRORS = {
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Unavailable",
}

each_machine = pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.name.removesuffix(".asl.json"))


def states(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(path.read_text())["States"]
    return found


def tasks(path: Path) -> dict[str, dict[str, Any]]:
    return {name: state for name, state in states(path).items() if state["Type"] == "Task"}


def followers(state: dict[str, Any]) -> Iterator[str]:
    """Every state that may come next."""
    yield from values(state, "Next")
    yield from values(state, "Default")


def test_there_is_a_machine() -> None:
    assert MACHINES


@each_machine
def test_the_validator_finds_no_fault(path: Path) -> None:
    if shutil.which("node") is None or not VALIDATOR.exists():
        pytest.skip("asl-validator is not installed: npm ci")
    done = subprocess.run([VALIDATOR, "--json-path", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@each_machine
def test_every_next_state_exists_and_every_state_can_be_reached(path: Path) -> None:
    reached, left = set[str](), [json.loads(path.read_text())["StartAt"]]
    while left:
        name = left.pop()
        if name not in reached:
            reached.add(name)
            left += followers(states(path)[name])
    assert reached == set(states(path))


@each_machine
def test_every_error_that_is_expected_exists(path: Path) -> None:
    expected = {name for group in values(states(path), "ErrorEquals") for name in group}
    ours = {name for name in expected if not name.startswith(AWS_ERRORS)}
    classes = {
        name
        for name, found in vars(errors).items()
        if isinstance(found, type) and issubclass(found, errors.RuneError)
    }
    assert ours <= classes | AGENT_ERRORS


@each_machine
def test_a_machine_uses_only_what_runs_everywhere(path: Path) -> None:
    text = path.read_text()
    assert {task["Resource"] for task in tasks(path).values()} <= RESOURCES
    assert not {state["Type"] for state in states(path).values()} - {
        "Task",
        "Choice",
        "Wait",
        "Pass",
        "Succeed",
        "Fail",
    }
    for word in ("QueryLanguage", "{%", "startExecution", "ecs:"):
        assert word not in text


@each_machine
def test_a_machine_names_functions_only_by_substitutions_that_are_made(path: Path) -> None:
    (machine,) = (
        each["Properties"]
        for each in resources("AWS::Serverless::StateMachine").values()
        if each["Properties"]["DefinitionUri"] == f"statemachines/{path.name}"
    )
    made = machine["DefinitionSubstitutions"]
    assert set(re.findall(r"\$\{(\w+)\}", path.read_text())) == set(made)
    assert not re.search(r"arn:aws:(?!states:::lambda:invoke)", path.read_text())
    known = {function.logical_id for function in functions()}
    for name, value in made.items():
        assert value == {"Fn::GetAtt": [name.removesuffix("Arn"), "Arn"]}
        assert name.removesuffix("Arn") in known


@each_machine
def test_every_step_tries_again_when_a_dependency_does_not_answer(path: Path) -> None:
    for name, task in tasks(path).items():
        patient = [each for each in task["Retry"] if set(each["ErrorEquals"]) >= DEPENDENCY_ERRORS]
        assert len(patient) == 1, name
        assert patient[0]["JitterStrategy"] == "FULL"
        assert patient[0]["BackoffRate"] > 1


@each_machine
def test_a_step_that_waits_for_an_answer_notices_silence(path: Path) -> None:
    waiting = [task for task in tasks(path).values() if task["Resource"].endswith(".waitForTaskToken")]
    for task in waiting:
        if task["Parameters"]["FunctionName"] == "${AwaitApprovalFunctionArn}":
            # People are not asked for signs of life, and have up to thirty days.
            assert "HeartbeatSeconds" not in task
            assert task["TimeoutSeconds"] > MOST_SECONDS
            continue
        looks_itself = task["Catch"][0]["ErrorEquals"] == ["States.Timeout"]
        assert task.get("HeartbeatSeconds") == (None if looks_itself else 120)
        assert task["TimeoutSeconds"] == 30 if looks_itself else task["TimeoutSeconds"] > 14_400
        assert task["Parameters"]["Payload"]["task_token.$"] == "$$.Task.Token"


@each_machine
def test_no_token_is_used_twice(path: Path) -> None:
    """The interpreter keeps the token of a state that it repeats, and the token's answer with it."""
    for task in tasks(path).values():
        repeated = {name for retrier in task["Retry"] for name in retrier["ErrorEquals"]}
        assert not repeated & AGENT_ERRORS


def test_an_agent_run_ends_on_every_path_with_a_recorded_outcome() -> None:
    path = ROOT / "statemachines" / "run_agent.asl.json"
    every = states(path)
    for name, task in tasks(path).items():
        *others, catch = task["Catch"]
        # A decision that came before the wait is a reason to go on, not to end.
        assert [(each["ErrorEquals"], each["Next"]) for each in others] == (
            [(["WaitOver"], "Ask")] if name == "WaitApproval" else []
        )
        assert catch["ErrorEquals"] == ["States.ALL"]
        assert catch["Next"] == ("NotRecorded" if name == "Record" else "Record")
    ends = {name for name, state in every.items() if state["Type"] in ("Succeed", "Fail")}
    before_ends = {name for name, state in every.items() if ends & set(followers(state))}
    # A run that admission found ended has its outcome already.
    assert before_ends == {"IsAdmitted", "Record", "IsAgain"}
    assert {name for name, state in every.items() if "IsAgain" in followers(state)} == {"Record"}


def test_a_benchmark_is_torn_down_and_recorded_on_every_path() -> None:
    path = ROOT / "statemachines" / "run_benchmark.asl.json"
    every = states(path)
    expected = {"Teardown": "LeaveToReaper", "Record": "NotRecorded", "Reap": "Done"}
    for name, task in tasks(path).items():
        *others, catch = task["Catch"]
        # A decision that came before the wait is a reason to go on, not to end.
        assert [each["ErrorEquals"] for each in others] == ([["WaitOver"]] if name == "WaitApproval" else [])
        assert catch["ErrorEquals"] == ["States.ALL"]
        assert catch["Next"] == expected.get(name, "Teardown")
        # What goes wrong after the work does not change how the work ended.
        assert (catch["ResultPath"] == "$.error") == (name not in ("Teardown", "Reap"))
    assert {name for name, state in every.items() if "Record" in followers(state)} == {
        "IsTornDown",
        "LeaveToReaper",
    }
    ends = {name for name, state in every.items() if state["Type"] in ("Succeed", "Fail")}
    before_ends = {name for name, state in every.items() if ends & set(followers(state))}
    # A run that admission found ended has its outcome already.
    assert before_ends == {"IsAdmitted", "Record", "IsAgain", "Reap"}


def test_a_chain_is_torn_down_and_recorded_on_every_path() -> None:
    path = ROOT / "statemachines" / "run_chain.asl.json"
    every = states(path)
    expected = {"Teardown": "LeaveToReaper", "Record": "NotRecorded", "Reap": "Done"}
    for name, task in tasks(path).items():
        *before, catch = task["Catch"]
        assert catch["ErrorEquals"] == ["States.ALL"]
        assert catch["Next"] == expected.get(name, "Teardown")
        assert [each["ErrorEquals"] for each in before] == [["States.Timeout"]] * (name == "Advance")
    assert {name for name, state in every.items() if "Record" in followers(state)} == {
        "IsTornDown",
        "LeaveToReaper",
    }
    ends = {name for name, state in every.items() if state["Type"] in ("Succeed", "Fail")}
    before_ends = {name for name, state in every.items() if ends & set(followers(state))}
    assert before_ends == {"IsAdmitted", "Record", "IsAgain", "Reap"}


@each_machine
def test_no_state_catches_into_itself(path: Path) -> None:
    """The interpreter goes on with such a state's own `Next` instead."""
    for name, state in states(path).items():
        assert name not in [catch["Next"] for catch in state.get("Catch", ())]


@each_machine
def test_state_data_is_ids_and_counters(path: Path) -> None:
    for task in tasks(path).values():
        kept = task["ResultPath"] is None or set(task["ResultSelector"].values()) <= {
            "$.Payload.go",
            "$.Payload.waits",
            "$.outcome",
            "$.Payload.ready",
            "$.Payload.again",
            "$.Payload.done",
            "$.Payload.pending",
            "$.Payload.wait_seconds",
            "$.done",
            "$.pause_seconds",
        }
        assert kept
        assert set(task["Parameters"]["Payload"]) <= {
            "tenant.$", "run_id.$", "attempt.$", "task_token.$", "error.$",
        }  # fmt: skip
