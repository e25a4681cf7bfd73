"""The local Step Functions: deployed state machines over real handlers, reached by Lambda's Invoke call."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rune.local import engine as engine_module
from rune.local.engine import Engine, definition, function_arn, machine_arn, snake
from rune.local.invoke import Handler, InvokeServer
from rune_common.domain.errors import RunFailure

ROOT = Path(__file__).parents[2]
MACHINE = {
    "StartAt": "Work",
    "States": {
        "Work": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": "${DoWorkFunctionArn}", "Payload.$": "$"},
            "ResultSelector": {"said.$": "$.Payload"},
            "Catch": [{"ErrorEquals": ["RunFailure"], "ResultPath": "$.error", "Next": "Failed"}],
            "End": True,
        },
        "Failed": {"Type": "Pass", "Parameters": {"caught.$": "$.error.Error"}, "End": True},
    },
}
TIMES = 1000


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    # The engine sets it; this puts back what was there before.
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "")


def do_work(event: dict[str, Any], context: object) -> dict[str, Any]:
    if event.get("fail"):
        raise RunFailure("LLM_UNREACHABLE", "secret words")
    return {"double": event["number"] * 2}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "work.asl.json").write_text(json.dumps(MACHINE))
    found = Engine(tmp_path, {"do_work": do_work})
    yield found
    found.close()


def run(client: Any, **document: object) -> dict[str, Any]:
    started = client.start_execution(
        stateMachineArn=machine_arn("work"), name=str(uuid.uuid4()), input=json.dumps(document)
    )
    for _ in range(TIMES):
        found: dict[str, Any] = client.describe_execution(executionArn=started["executionArn"])
        if found["status"] != "RUNNING":
            return found
        time.sleep(0.02)
    raise AssertionError("the execution did not end")


def test_a_task_reaches_its_handler_and_its_answer_comes_back(engine: Engine) -> None:
    ended = run(engine.client(), number=21)
    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"]) == {"said": {"double": 42}}


def test_a_handlers_error_is_known_to_the_machine_by_its_class_name(engine: Engine) -> None:
    ended = run(engine.client(), fail=True)
    assert json.loads(ended["output"]) == {"caught": "RunFailure"}
    assert "secret words" not in str(ended)


def test_an_execution_has_one_name(engine: Engine) -> None:
    client = engine.client()
    arguments = {"stateMachineArn": machine_arn("work"), "name": "r1-0"}
    client.start_execution(**arguments, input='{"number": 1}')
    with pytest.raises(client.exceptions.ExecutionAlreadyExists):
        client.start_execution(**arguments, input='{"number": 2}')


def test_the_oldest_finished_executions_are_forgotten(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "KEPT_EXECUTIONS", 3)
    for number in range(8):
        run(engine.client(), number=number)
    left = engine.client().list_executions(stateMachineArn=machine_arn("work"))["executions"]
    assert 3 <= len(left) <= 6
    assert run(engine.client(), number=1)["status"] == "SUCCEEDED"


def test_a_closed_engine_leaves_no_server(engine: Engine) -> None:
    engine.client()
    url = engine._invoke.url
    engine.close()
    with pytest.raises(httpx.TransportError):
        httpx.post(f"{url}/2015-03-31/functions/do_work/invocations", json={})
    engine.close()


def test_every_deployed_machine_can_be_loaded() -> None:
    engine = Engine(ROOT / "statemachines", {})
    try:
        names = {each["name"] for each in engine.client().list_state_machines()["stateMachines"]}
    finally:
        engine.close()
    assert names == {
        path.name.removesuffix(".asl.json") for path in (ROOT / "statemachines").glob("*.asl.json")
    }


def test_names_are_filled_in_as_the_deployment_does() -> None:
    filled = json.loads(definition(json.dumps(MACHINE)))
    assert filled["States"]["Work"]["Parameters"]["FunctionName"] == function_arn("do_work")
    assert snake("PrepareBackend") == "prepare_backend"
    with pytest.raises(ValueError, match="Expecting"):
        definition("{")


@pytest.fixture
def invoked() -> Iterator[InvokeServer]:
    handlers: dict[str, Handler] = {"do_work": do_work}
    server = InvokeServer(handlers)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize(
    "name", ["do_work", function_arn("do_work"), function_arn("do_work").replace(":", "%3A")]
)
def test_a_function_is_invoked_by_name_or_arn(invoked: InvokeServer, name: str) -> None:
    answer = httpx.post(f"{invoked.url}/2015-03-31/functions/{name}/invocations", json={"number": 2})
    assert (answer.status_code, answer.json()) == (200, {"double": 4})


def test_an_error_is_answered_as_lambda_answers_it(invoked: InvokeServer) -> None:
    url = f"{invoked.url}/2015-03-31/functions/do_work/invocations"
    answer = httpx.post(url, json={"fail": True})
    assert (answer.status_code, answer.headers["X-Amz-Function-Error"]) == (200, "Unhandled")
    assert answer.json()["errorType"] == "RunFailure"
    assert "secret words" not in answer.text


def test_only_who_knows_the_secret_path_may_invoke(invoked: InvokeServer) -> None:
    base, _, secret = invoked.url.rpartition("/")
    path = "2015-03-31/functions/do_work/invocations"
    for wrong in (f"{base}/{path}", f"{base}/{secret[:-1]}x/{path}", f"{base}/{secret}/{path}/more"):
        assert httpx.post(wrong, json={"number": 1}).status_code == 403
    assert httpx.post(f"{invoked.url}/2015-03-31/functions/other/invocations", json={}).status_code == 404
