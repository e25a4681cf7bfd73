"""Each role may do what its code does, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.contract.deployment import functions, resources, template, values

READERS = {"list_jobs", "read_job", "read_job_events", "simulate_finops"}
SETTINGS_READERS = {"read_settings", "export_settings", "list_profiles", "read_profile"}
SETTINGS_WRITERS = {"change_settings", "create_profile", "delete_profile"}
RUNS_READ = {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"}
RUNS_WRITE = {"dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}
SAM_RIGHTS = {
    "LambdaInvokePolicy": "lambda:InvokeFunction",
    "StepFunctionsExecutionPolicy": "states:StartExecution",
}
"""What SAM's own policy templates stand for; the template uses no others."""

BEYOND_RESOURCES = {"logs", "xray"}
"""Services whose actions here know no resources."""


def statements() -> Iterator[dict[str, Any]]:
    """Every statement that allows a role something."""
    for kind in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::Role"):
        for resource in resources(kind).values():
            for document in values(resource["Properties"], "PolicyDocument"):
                yield from document["Statement"]
    for kind in ("AWS::Serverless::Function", "AWS::Serverless::StateMachine"):
        for resource in resources(kind).values():
            for policy in resource["Properties"].get("Policies", ()):
                yield from policy.get("Statement", ())


def actions(statement: dict[str, Any]) -> list[str]:
    found = statement["Action"]
    return [found] if isinstance(found, str) else found


def rights(folder: str) -> set[str]:
    """Every action that a function's policies allow."""
    found: set[str] = set()
    for policy in next(each for each in functions() if each.folder == folder).properties.get("Policies", ()):
        if "Ref" in policy:
            document = template()["Resources"][policy["Ref"]]["Properties"]["PolicyDocument"]
            found.update(action for each in document["Statement"] for action in actions(each))
        elif "Statement" in policy:
            found.update(action for each in policy["Statement"] for action in actions(each))
        else:
            found.update(SAM_RIGHTS[name] for name in policy)
    return found


def test_no_statement_allows_all_of_a_service() -> None:
    assert not [action for each in statements() for action in actions(each) if "*" in action]


def test_only_services_that_know_no_resources_are_allowed_on_all() -> None:
    everywhere = [each for each in statements() if "*" in (each["Resource"], *each["Resource"])]
    assert everywhere
    assert {action.split(":")[0] for each in everywhere for action in actions(each)} <= BEYOND_RESOURCES


def test_the_health_function_may_do_nothing() -> None:
    assert rights("read_health") == set()


@pytest.mark.parametrize("folder", sorted(READERS))
def test_a_reading_function_cannot_write_a_run(folder: str) -> None:
    found = rights(folder)
    assert found == RUNS_READ | {"dynamodb:UpdateItem", "s3:GetObject"}
    writing = [
        each
        for name in ("ReadRunsPolicy", "AuthenticatePolicy")
        for each in template()["Resources"][name]["Properties"]["PolicyDocument"]["Statement"]
        if "dynamodb:UpdateItem" in actions(each)
    ]
    assert [each["Resource"] for each in writing] == [{"Fn::GetAtt": ["IdentityTable", "Arn"]}]


def settings_actions(policy: str) -> set[str]:
    """What a policy of settings allows, all of it on the runs table."""
    document = template()["Resources"][policy]["Properties"]["PolicyDocument"]
    assert {str(each["Resource"]) for each in document["Statement"]} == {
        str({"Fn::GetAtt": ["RunsTable", "Arn"]})
    }
    return {action for each in document["Statement"] for action in actions(each)}


def policies(folder: str) -> list[str]:
    found = next(each for each in functions() if each.folder == folder).properties["Policies"]
    return [policy["Ref"] for policy in found]


def test_functions_of_settings_read_one_item_and_only_some_change_it() -> None:
    assert settings_actions("ReadSettingsPolicy") == {"dynamodb:GetItem"}
    assert settings_actions("ChangeSettingsPolicy") == {"dynamodb:GetItem", "dynamodb:UpdateItem"}
    for folder in SETTINGS_READERS:
        assert policies(folder) == ["AuthenticatePolicy", "ReadSettingsPolicy"]
    for folder in SETTINGS_WRITERS:
        assert policies(folder) == ["AuthenticatePolicy", "ChangeSettingsPolicy"]


def test_reports_read_the_runs_table_and_the_catalog_writes_snapshots_only() -> None:
    assert policies("read_kpi") == ["AuthenticatePolicy", "ReadDailyRowsPolicy"]
    assert policies("refresh_catalog") == ["KeepModelSnapshotsPolicy"]
    assert rights("list_model_catalog") == rights("read_kpi") | {"dynamodb:UpdateItem", "s3:GetObject"}
    reading = template()["Resources"]["ReadDailyRowsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert {action for each in reading for action in actions(each)} == {"dynamodb:GetItem", "dynamodb:Query"}
    document = template()["Resources"]["KeepModelSnapshotsPolicy"]["Properties"]["PolicyDocument"]
    for each in document["Statement"]:
        assert each["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["MODELS"]}}


def test_lists_of_models_need_no_rights_but_to_authenticate() -> None:
    for folder in ("list_vastai_models", "list_llm_models"):
        assert policies(folder) == ["AuthenticatePolicy"]


@pytest.mark.parametrize(
    ("folder", "documents"),
    [
        ("read_trace", set()),
        ("read_interaction", set()),
        ("list_artifacts", set()),
        ("read_metrics", set()),
        ("read_browser_stream", {"s3:GetObject"}),
        ("download_artifact", {"s3:GetObject"}),
    ],
)
def test_a_function_that_shows_runs_reads_documents_only_if_it_has_to(
    folder: str, documents: set[str]
) -> None:
    assert rights(folder) == RUNS_READ | {"dynamodb:UpdateItem"} | documents


def test_only_functions_that_authenticate_may_use_the_identity_table() -> None:
    using = {
        each.folder
        for each in functions()
        if {"Ref": "AuthenticatePolicy"} in each.properties.get("Policies", ())
    }
    serving = {each.folder for each in functions() if each.events("Api")}
    assert using == serving - {"read_health"}
    assert using == {each.folder for each in functions() if "RUNE_IDENTITY_TABLE" in each.variables()}


def test_only_consumers_and_the_schedule_may_start_executions() -> None:
    starting = {each.folder for each in functions() if "states:StartExecution" in rights(each.folder)}
    assert starting == {"on_run_queued", "on_run_ended", "expire_waits"}
    for kind in ("AGENT", "BENCHMARK", "CHAIN"):
        variable = f"RUNE_RUN_{kind}_MACHINE_ARN"
        assert starting == {each.folder for each in functions() if variable in each.variables()}


def test_only_what_rents_and_gives_back_holds_the_providers_key() -> None:
    holding = {each.folder for each in functions() if "VAST_API_KEY" in each.variables()}
    assert holding == {
        "acquire_backend",
        "teardown_backend",
        "reap_backends",
        "on_instance_released",
    }
    assert not {each.folder for each in functions() if each.events("Api")} & holding


def test_only_what_numbers_attempts_may_start_agents() -> None:
    starting = {each.folder for each in functions() if "lambda:InvokeFunction" in rights(each.folder)}
    assert starting == {"start_agent", "advance_chain"}
    # Whoever starts an attempt has numbered it in the run first.
    assert rights("start_agent") == RUNS_READ | RUNS_WRITE | {"lambda:InvokeFunction"}
    fargate = resources("AWS::IAM::Policy")["StartAgentOnFargatePolicy"]["Properties"]
    assert fargate["Roles"] == [{"Ref": "StartAgentFunctionRole"}, {"Ref": "AdvanceChainFunctionRole"}]
    passing = next(each for each in fargate["PolicyDocument"]["Statement"] if "iam:PassRole" in actions(each))
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}


def test_a_secret_is_sealed_by_the_submission_and_opened_by_the_work_only() -> None:
    sealing = {each.folder for each in functions() if "kms:GenerateDataKey" in rights(each.folder)}
    opening = {each.folder for each in functions() if "kms:Decrypt" in rights(each.folder)}
    assert (sealing, opening) == ({"create_run", "submit_job"}, set())
    assert {"Ref": "OpenRequestsPolicy"} in resources("AWS::IAM::Role")["AgentRole"]["Properties"][
        "ManagedPolicyArns"
    ]


def test_the_machine_may_invoke_the_functions_that_it_names_and_no_others() -> None:
    for machine in resources("AWS::Serverless::StateMachine").values():
        named = {each["Fn::GetAtt"][0] for each in machine["Properties"]["DefinitionSubstitutions"].values()}
        invoked = {
            policy["LambdaInvokePolicy"]["FunctionName"]["Ref"]
            for policy in machine["Properties"]["Policies"]
            if "LambdaInvokePolicy" in policy
        }
        assert invoked == named


def test_the_agent_has_no_rights_beyond_its_run() -> None:
    role = resources("AWS::IAM::Role")["AgentRole"]["Properties"]
    own = {action for each in role["Policies"][0]["PolicyDocument"]["Statement"] for action in actions(each)}
    services = {action.split(":")[0] for action in own}
    assert services == {"states", "sqs", "logs", "xray", "kms", "secretsmanager"}
    by_sid = {each["Sid"]: each["Resource"] for each in role["Policies"][0]["PolicyDocument"]["Statement"]}
    assert by_sid["SealConversations"] == {"Fn::GetAtt": ["StackKey", "Arn"]}
    assert by_sid["SignWaitingCalls"] == {"Ref": "ApprovalKey"}
    assert not {action for action in own if action.startswith("states:") and "SendTask" not in action}


def test_only_consumers_of_decisions_answer_a_waiting_machine() -> None:
    answering = {each.folder for each in functions() if "states:SendTaskSuccess" in rights(each.folder)}
    assert answering == {"on_approval_decided", "expire_waits", "advance_chain"}
    assert rights("await_approval") == RUNS_READ | RUNS_WRITE
    assert rights("decide_approvals") == rights("answer_interaction")


def test_only_what_makes_evidence_may_sign() -> None:
    signers = {each.folder for each in functions() if "secretsmanager:GetSecretValue" in rights(each.folder)}
    assert signers == {"read_evidence", "read_evidence_proof", "seal_evidence"}


def test_whoever_asks_for_documents_that_may_be_missing_is_told_so_by_s3() -> None:
    askers = {"read_evidence", "read_evidence_proof", "seal_evidence", "list_evidence_keys"}
    assert all({"s3:GetObject", "s3:ListBucket"} <= rights(folder) for folder in askers)
