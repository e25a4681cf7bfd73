"""template.yaml, functions/, the routers, the settings and the tables tell the same story."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from tests.contract.deployment import FUNCTION, ROOT, functions, logical_id, resources, template, values

from rune_common.adapters import dynamodb_keys
from rune_common.http.routes import ROUTERS
from rune_common.settings import Settings

FOLDERS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))
ENTRIES = {"http_function", "task_function", "stream_function", "events_function", "serve"}
STREAMS = {function.folder for function in functions() if function.streams}
ADAPTER_VARIABLES = ("AWS_LAMBDA_EXEC_WRAPPER", "AWS_LWA_")
CONTRACT_VARIABLES = [
    "AWS_ENDPOINT_URL_DYNAMODB",
    "RUNE_AGENT_PYTHON",
    "RUNE_AGENT_TOOLSETS_FILE",
    "RUNE_ALLOWED_ORIGINS",
    "RUNE_ALLOW_INSECURE_CLUSTER_TLS",
    "RUNE_API_AUTH_DISABLED",
    "RUNE_API_AUTH_RATE_BURST",
    "RUNE_API_AUTH_RATE_PER_SECOND",
    "RUNE_API_RATE_BURST",
    "RUNE_API_RATE_PER_SECOND",
    "RUNE_API_TOKENS",
    "RUNE_API_TOKEN_POLICIES",
    "RUNE_BACKEND_ALLOWLIST",
    "RUNE_BLOBS_BUCKET",
    "RUNE_CLUSTER_ALLOWLIST",
    "RUNE_DATA_DIR",
    "RUNE_DRIVER_INVOCATION_TIMEOUT",
    "RUNE_ENV",
    "RUNE_EVIDENCE_KEY_NAME",
    "RUNE_GITHUB_APP_SCANNER",
    "RUNE_HOLMES_DRIVER_CMD",
    "RUNE_HOLMES_DRIVER_MODE",
    "RUNE_KUBECONFIG_DIRS",
    "RUNE_KUBECTL",
    "RUNE_MODEL_LIST_FILE",
    "RUNE_OLLAMA_NUM_CTX",
    "RUNE_PRICE_TABLE",
    "RUNE_RETENTION_DAYS",
    "RUNE_RUNS_TABLE",
    "RUNE_SPEND_LIMIT_PER_DAY_USD",
    "RUNE_SPEND_LIMIT_PER_JOB_USD",
    "RUNE_TENANT_MAX_ACTIVE_RUNS",
    "RUNE_TRUSTED_PROXIES",
    "RUNE_VASTAI_MAX_DPH",
    "RUNE_VASTAI_TEMPLATE",
]
"""What the contracts name, of what is built so far."""


def known_variables() -> set[str]:
    return {field.metadata["variable"] for field in dataclasses.fields(Settings)}


def used_variables() -> Iterator[str]:
    for function in functions():
        yield from function.variables()
    for image in resources("AWS::Lambda::Function").values():
        yield from image["Properties"]["Environment"]["Variables"]
    for task in resources("AWS::ECS::TaskDefinition").values():
        for container in task["Properties"]["ContainerDefinitions"]:
            yield from (variable["Name"] for variable in container["Environment"])


def deployed() -> dict[str, dict[str, str]]:
    """Function by method by path, as API Gateway was told."""
    found: dict[str, dict[str, str]] = {}
    for function in functions():
        for event in function.events("Api"):
            methods = found.setdefault(event["Path"], {})
            assert methods.setdefault(event["Method"], function.folder) == function.folder
    return found


def served() -> Iterator[tuple[str, str, str]]:
    """Endpoint, method and path of every route."""
    for name, router in ROUTERS.items():
        for route in router.routes:
            if isinstance(route, APIRoute):
                yield from ((name, method, route.path) for method in route.methods or ())


def chosen(method: str, path: str) -> str | None:
    """The function that API Gateway chooses: fixed parts of a path before variables, a method before ANY."""
    concrete = re.sub(r"\{\w+\}", "sample", path).rstrip("/")
    matches = [each for each in deployed() if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", each), concrete)]
    if not matches:
        return None
    methods = deployed()[min(matches, key=lambda each: each.count("{"))]
    return methods.get(method, methods.get("ANY"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_function_folder_is_deployed_under_its_name(folder: str) -> None:
    assert [each.folder for each in functions() if each.logical_id == logical_id(folder)] == [folder]


def test_nothing_is_deployed_that_has_no_folder() -> None:
    assert sorted(function.folder for function in functions()) == FOLDERS


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_function_is_one_entry_helper_and_one_router_or_task(folder: str) -> None:
    text = (ROOT / "functions" / folder / "app.py").read_text()
    imported = [
        alias.name
        for node in ast.parse(text).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rune_common")
        for alias in node.names
    ]
    assert len(text.splitlines()) <= 10
    assert len(imported) == 2
    assert set(imported) - ENTRIES == {folder}
    call = rf"\w+\({folder}\.(router|task|consume)\)"
    main = r'if __name__ == "__main__":\n    '
    assert re.search(rf"^{main if folder in STREAMS else 'handler = '}{call}$", text, re.MULTILINE)


def test_streams_are_started_by_the_adapter_and_passed_on_as_they_come() -> None:
    scripts = {path.parent.name: path for path in (ROOT / "functions").glob("*/run.sh")}
    assert set(scripts) == STREAMS
    assert len({path.read_text() for path in scripts.values()}) == 1
    assert all(path.stat().st_mode & 0o111 for path in scripts.values())
    for function in functions():
        modes = {event.get("ResponseTransferMode") for event in function.events("Api")}
        assert modes <= ({"RESPONSE_STREAM"} if function.streams else {None})
        if function.streams:
            assert function.variables()["AWS_LWA_INVOKE_MODE"] == "response_stream"
            assert "LambdaAdapterLayerArm64" in str(function.properties["Layers"])


@pytest.mark.parametrize(("name", "method", "path"), sorted(set(served())))
def test_every_route_reaches_the_function_that_serves_it(name: str, method: str, path: str) -> None:
    assert chosen(method, path) == name


def test_every_deployed_path_is_served_by_its_function() -> None:
    routes = [(name, method, re.sub(r"\{\w+\}", "{}", path)) for name, method, path in served()]
    for path, methods in deployed().items():
        for method, name in methods.items():
            assert any(
                name == each and method in ("ANY", verb) and re.sub(r"\{\w+\}", "{}", path) == _generic(known)
                for each, verb, known in routes
            ), f"{name} does not serve {method} {path}"


def _generic(path: str) -> str:
    """The path by which API Gateway knows a route: a job's kind is a value of its variable."""
    return re.sub(r"^/v1/jobs/[^/{]+$", "/v1/jobs/{}", path.rstrip("/"))


def test_no_place_in_a_path_has_two_variable_names() -> None:
    names: dict[str, set[str]] = {}
    for path in deployed():
        for found in re.finditer(r"\{(\w+)\}", path):
            names.setdefault(re.sub(r"\{\w+\}", "{}", path[: found.start()]), set()).add(found[1])
    assert all(len(each) == 1 for each in names.values()), names


def test_every_variable_of_the_template_is_a_setting() -> None:
    ours = {name for name in used_variables() if not name.startswith(ADAPTER_VARIABLES)}
    assert ours <= known_variables()


def test_every_variable_that_a_contract_names_is_a_setting() -> None:
    assert set(CONTRACT_VARIABLES) <= known_variables()


def test_the_gateway_answers_by_itself_in_the_dialect_of_the_jobs_api() -> None:
    answers = template()["Resources"]["Api"]["Properties"]["GatewayResponses"]
    codes = {}
    for name, answer in answers.items():
        text = answer["ResponseTemplates"]["application/json"]
        assert re.findall(r"\$[\w.]+", text) == ["$context.requestId"]
        body = json.loads(text)
        assert list(body) == ["error", "code", "request_id"]
        codes[name] = (answer.get("StatusCode"), body["code"])
    assert codes["MISSING_AUTHENTICATION_TOKEN"] == (404, "not_found")
    assert codes["REQUEST_TOO_LARGE"] == (413, "body_too_large")
    assert codes["THROTTLED"] == (429, "rate_limited")
    assert codes["DEFAULT_5XX"] == (500, "internal")
    assert {status for status, _ in codes.values()} <= {None, 403, 404, 413, 429, 500, 503}


def test_answers_that_ask_for_patience_say_how_much() -> None:
    answers = template()["Resources"]["Api"]["Properties"]["GatewayResponses"].values()
    for answer in answers:
        patient = answer.get("StatusCode") in (429, 503)
        assert ("Retry-After" in answer["ResponseParameters"]["Headers"]) == patient


@pytest.mark.parametrize("table", sorted(resources("AWS::DynamoDB::Table")))
def test_a_table_is_kept_sealed_and_recoverable(table: str) -> None:
    resource = resources("AWS::DynamoDB::Table")[table]
    properties = resource["Properties"]
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["SSESpecification"]["SSEType"] == "KMS"
    assert properties["DeletionProtectionEnabled"] == {"Ref": "DeletionProtection"}
    keyed = {each["AttributeName"] for schema in values(properties, "KeySchema") for each in schema}
    assert keyed == {each["AttributeName"] for each in properties["AttributeDefinitions"]}


def test_the_runs_table_has_the_indexes_that_its_adapter_reads() -> None:
    properties = resources("AWS::DynamoDB::Table")["RunsTable"]["Properties"]
    found: dict[str, Any] = {
        index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
        for index in properties["GlobalSecondaryIndexes"]
    }
    assert found == {
        dynamodb_keys.BY_TENANT: ["gsi1pk", "gsi1sk"],
        dynamodb_keys.BY_KIND_STATE: ["gsi2pk", "gsi2sk"],
        dynamodb_keys.BY_DUE: ["gsi3pk", "gsi3sk"],
    }
    assert set(values(properties, "ProjectionType")) == {"KEYS_ONLY"}
    assert properties["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


def test_every_queue_of_failures_has_an_alarm_on_its_depth() -> None:
    watched = {
        dimension["Value"]["Fn::GetAtt"][0]
        for alarm in resources("AWS::CloudWatch::Alarm").values()
        for dimension in alarm["Properties"]["Dimensions"]
        if dimension["Name"] == "QueueName"
        and alarm["Properties"]["MetricName"] == "ApproximateNumberOfMessagesVisible"
        and alarm["Properties"]["Threshold"] == 1
        and alarm["Properties"]["AlarmActions"]
    }
    assert watched == set(resources("AWS::SQS::Queue"))


def test_everything_that_no_caller_waits_for_has_a_queue_of_failures() -> None:
    queued = {function.folder for function in functions() if "OnFailure" in json.dumps(function.properties)}
    assert queued == {
        function.folder
        for function in functions()
        if function.events("DynamoDB") or function.events("Schedule")
    }


def test_the_layer_and_the_functions_are_built_for_the_runtime_that_runs_them() -> None:
    shared = template()["Globals"]["Function"]
    layer = template()["Resources"]["RuneCommonLayer"]["Properties"]
    version = shared["Runtime"].removeprefix("python")
    assert layer["CompatibleRuntimes"] == [shared["Runtime"]]
    assert layer["CompatibleArchitectures"] == shared["Architectures"] == ["arm64"]
    for makefile in (ROOT / "layers/rune_common/Makefile", ROOT / "functions/Makefile"):
        assert f"RUNTIME_VERSION ?= {version}\n" in makefile.read_text()
    assert "PLATFORM ?= manylinux2014_aarch64\n" in (ROOT / "layers/rune_common/Makefile").read_text()
    assert all(each["Metadata"]["BuildMethod"] == "makefile" for each in resources(FUNCTION).values())


def test_the_layer_runs_the_versions_that_the_local_stack_runs() -> None:
    local = pins(ROOT / "requirements/app.txt")
    layer = pins(ROOT / "layers/rune_common/constraints.txt")
    assert layer
    assert layer.items() <= local.items()


def pins(path: Path) -> dict[str, str]:
    found = re.finditer(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", path.read_text(), re.MULTILINE)
    return {each[1].lower(): each[2] for each in found}


def test_logs_are_kept_for_the_time_that_the_operator_chose() -> None:
    groups = resources("AWS::Logs::LogGroup")
    assert {group["Properties"]["RetentionInDays"]["Ref"] for group in groups.values()} == {
        "LogRetentionDays"
    }
    assert template()["Globals"]["Function"]["LoggingConfig"]["LogGroup"] == {"Ref": "FunctionsLogGroup"}
