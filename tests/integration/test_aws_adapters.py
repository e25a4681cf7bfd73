"""S3, KMS, Step Functions, Lambda and ECS as the deployed system uses them, against their model in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws
from tests.integration.run_samples import new_run

from rune_common.adapters.agent_starters import LAMBDA_SECONDS, AwsAgents, FargatePlace
from rune_common.adapters.aws_storage import KmsSealer, S3BlobStore
from rune_common.adapters.stepfunctions import StepFunctionsCallbacks, StepFunctionsExecutions
from rune_common.domain.errors import BlobNotFound, Unavailable
from rune_common.domain.executions import AgentTask

REGION = "us-east-1"
ROLE = "arn:aws:iam::123456789012:role/machine"
MACHINE = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
TASK = AgentTask("default", "r1", "a1", "token")
CONTEXT = "default/r1"


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL_LAMBDA", raising=False)
    with mock_aws():
        yield


class Calls:
    """A client that notes what is asked of it, and fails as it is told."""

    def __init__(self, answer: Any = None, error: Exception | None = None) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._answer, self._error = answer or {}, error

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.asked.append((name, arguments))
            if self._error:
                raise self._error
            return self._answer

        return call


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "secret details"}}, "Operation")


NO_CONNECTION = EndpointConnectionError(endpoint_url="https://inside.example")


@pytest.fixture
def blobs() -> S3BlobStore:
    client = boto3.client("s3", region_name=REGION)
    client.create_bucket(Bucket="blobs")
    return S3BlobStore("blobs", lambda: client)


@pytest.fixture
def sealer() -> KmsSealer:
    client = boto3.client("kms", region_name=REGION)
    key = client.create_key()["KeyMetadata"]["KeyId"]
    return KmsSealer(key, lambda: client)


def test_a_blob_in_s3_is_written_read_replaced_and_deleted(blobs: S3BlobStore) -> None:
    blobs.put("default/r1/a", b"\x00first")
    blobs.put("default/r1/a", b"second")
    assert blobs.get("default/r1/a") == b"second"
    blobs.delete("default/r1/a")
    blobs.delete("default/r1/a")
    with pytest.raises(BlobNotFound):
        blobs.get("default/r1/a")


@pytest.mark.parametrize("error", [refusal("AccessDenied"), refusal("SlowDown"), NO_CONNECTION])
def test_storage_that_does_not_work_is_unavailable_and_says_nothing_of_its_inside(error: Exception) -> None:
    client = Calls(error=error)
    blobs, sealer = S3BlobStore("blobs", lambda: client), KmsSealer("key", lambda: client)
    for call in (
        lambda: blobs.put("k", b""),
        lambda: blobs.get("k"),
        lambda: blobs.delete("k"),
        lambda: sealer.seal(b"x", CONTEXT),
        lambda: sealer.open(b"\x00\x01wrapped" + b"0" * 40, CONTEXT),
    ):
        with pytest.raises(Unavailable) as caught:
            call()
        assert "secret details" not in str(caught.value)
        assert "inside.example" not in str(caught.value)


def test_what_kms_sealed_is_opened_in_its_context_only(sealer: KmsSealer) -> None:
    sealed = sealer.seal(b"kubeconfig", CONTEXT)
    assert b"kubeconfig" not in sealed
    assert sealer.seal(b"kubeconfig", CONTEXT) != sealed
    assert sealer.open(sealed, CONTEXT) == b"kubeconfig"
    for changed in (sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:40], b""):
        with pytest.raises((ValueError, Unavailable)):
            sealer.open(changed, CONTEXT)
    with pytest.raises(ValueError, match="does not belong here"):
        sealer.open(sealed, "other/r1")


@pytest.fixture
def machine() -> Any:
    client = boto3.client("stepfunctions", region_name=REGION)
    created = client.create_state_machine(name="run_agent", definition=json.dumps(MACHINE), roleArn=ROLE)
    return client, created["stateMachineArn"]


def test_an_execution_is_named_by_run_and_attempt_and_carries_ids_only(machine: Any) -> None:
    client, arn = machine
    run, _ = new_run()
    executions = StepFunctionsExecutions(arn, lambda: client)
    executions.start(run)
    executions.start(run)
    executions.start(replace(run, attempt=1))
    listed = client.list_executions(stateMachineArn=arn)["executions"]
    assert sorted(each["name"] for each in listed) == [f"{run.run_id}-0", f"{run.run_id}-1"]
    first = next(each for each in listed if each["name"].endswith("-0"))
    described = client.describe_execution(executionArn=first["executionArn"])
    document = json.loads(described["input"])
    assert (document["tenant"], document["run_id"], document["attempt"]) == ("default", run.run_id, 0)
    assert set(document) <= {"tenant", "run_id", "attempt", "kind"}, "ids and counters, never bodies"


@pytest.mark.parametrize(
    "error", [refusal("StateMachineDoesNotExist"), refusal("ThrottlingException"), NO_CONNECTION]
)
def test_an_execution_that_cannot_be_started_is_unavailable(error: Exception) -> None:
    run, _ = new_run()
    with pytest.raises(Unavailable):
        StepFunctionsExecutions("arn", lambda: Calls(error=error)).start(run)


def test_a_token_is_answered_once_with_what_was_said() -> None:
    client = Calls()
    callbacks = StepFunctionsCallbacks(lambda: client)
    assert callbacks.succeed("token", {"outcome": "completed"})
    assert callbacks.fail("token", "Rune.Transient", "cause")
    assert callbacks.heartbeat("token")
    assert client.asked == [
        ("send_task_success", {"taskToken": "token", "output": '{"outcome": "completed"}'}),
        ("send_task_failure", {"taskToken": "token", "error": "Rune.Transient", "cause": "cause"}),
        ("send_task_heartbeat", {"taskToken": "token"}),
    ]


@pytest.mark.parametrize("code", ["InvalidToken", "TaskTimedOut", "TaskDoesNotExist"])
def test_an_answer_that_comes_too_late_is_ignored(code: str) -> None:
    callbacks = StepFunctionsCallbacks(lambda: Calls(error=refusal(code)))
    assert not callbacks.succeed("token", {})
    assert not callbacks.fail("token", "Rune.Permanent")
    assert not callbacks.heartbeat("token")


@pytest.mark.parametrize("error", [refusal("AccessDeniedException"), NO_CONNECTION])
def test_an_answer_that_could_not_be_given_is_told(error: Exception) -> None:
    with pytest.raises(Unavailable):
        StepFunctionsCallbacks(lambda: Calls(error=error)).succeed("token", {})


PLACE = FargatePlace("cluster", "agent:1", ["subnet-1", "subnet-2"], ["sg-1"])


def agents(lambda_: Calls, ecs: Calls, place: FargatePlace | None = PLACE) -> AwsAgents:
    return AwsAgents(function="agent", fargate=place, lambda_client=lambda: lambda_, ecs_client=lambda: ecs)


def test_a_short_attempt_runs_in_lambda_and_nobody_waits_for_it() -> None:
    lambda_, ecs = Calls(), Calls()
    agents(lambda_, ecs).start(TASK, timeout_seconds=LAMBDA_SECONDS)
    ((name, asked),) = lambda_.asked
    assert (name, asked["FunctionName"], asked["InvocationType"]) == ("invoke", "agent", "Event")
    assert json.loads(asked["Payload"]) == asdict(TASK)
    assert ecs.asked == []


def test_a_long_attempt_runs_in_fargate_once_without_a_public_address() -> None:
    lambda_, ecs = Calls(), Calls()
    agents(lambda_, ecs).start(TASK, timeout_seconds=LAMBDA_SECONDS + 1)
    ((name, asked),) = ecs.asked
    assert (name, asked["cluster"], asked["clientToken"]) == ("run_task", "cluster", "a1")
    network = asked["networkConfiguration"]["awsvpcConfiguration"]
    assert network["assignPublicIp"] == "DISABLED"
    assert (network["subnets"], network["securityGroups"]) == (["subnet-1", "subnet-2"], ["sg-1"])
    (container,) = asked["overrides"]["containerOverrides"]
    (variable,) = container["environment"]
    assert (variable["name"], json.loads(variable["value"])["task_token"]) == ("RUNE_TASK", "token")
    assert lambda_.asked == []


def test_the_arguments_are_those_that_the_service_takes() -> None:
    # The real clients check the shape of what they are given before anything is sent.
    client = boto3.client("ecs", region_name=REGION)
    client.create_cluster(clusterName="cluster")
    ec2 = boto3.client("ec2", region_name=REGION)
    subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]][:2]
    groups = [each["GroupId"] for each in ec2.describe_security_groups()["SecurityGroups"]][:1]
    client.register_task_definition(
        family="agent",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="1024",
        memory="4096",
        containerDefinitions=[{"name": "agent", "image": "agent", "memory": 4096}],
    )
    place = FargatePlace("cluster", "agent", subnets, groups)
    starter = AwsAgents(
        function="agent",
        fargate=place,
        lambda_client=lambda: boto3.client("lambda", region_name=REGION),
        ecs_client=lambda: client,
    )
    starter.start(TASK, timeout_seconds=3600)
    (task,) = client.list_tasks(cluster="cluster")["taskArns"]
    described = client.describe_tasks(cluster="cluster", tasks=[task])["tasks"][0]
    (container,) = described["overrides"]["containerOverrides"]
    assert json.loads(container["environment"][0]["value"])["run_id"] == "r1"


def test_without_fargate_a_long_attempt_runs_in_lambda_too() -> None:
    lambda_, ecs = Calls(), Calls()
    agents(lambda_, ecs, None).start(TASK, timeout_seconds=3600)
    assert len(lambda_.asked) == 1


@pytest.mark.parametrize("seconds", [60, 3600])
def test_an_agent_that_cannot_be_started_is_unavailable(seconds: int) -> None:
    for error in (refusal("ResourceNotFoundException"), NO_CONNECTION):
        failing = Calls(error=error)
        with pytest.raises(Unavailable):
            agents(failing, failing).start(TASK, timeout_seconds=seconds)


def test_a_task_that_found_no_place_is_unavailable() -> None:
    full = Calls({"tasks": [], "failures": [{"reason": "RESOURCE:MEMORY"}]})
    with pytest.raises(Unavailable):
        agents(Calls(), full).start(TASK, timeout_seconds=3600)
