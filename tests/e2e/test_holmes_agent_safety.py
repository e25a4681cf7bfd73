"""What the real agent cannot do, whatever the model asks for, and what it does once it is approved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.holmes_driver import ask, bash, driver, params, simulators

from rune_common.domain.driver_protocol import DriverFailure, DriverSuccess

pytestmark = pytest.mark.agent

KEY = "signing-key-of-this-deployment-0123456789"
NOT_RUN = ("NOT executed", "blocked", "Command blocked", "approval")


def results_by_command(data: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {entry["result"]["params"]["command"]: entry["result"] for entry in data}


def test_no_other_program_runs_and_nothing_is_read_or_written(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("planted-in-a-file")
    written = tmp_path / "written"
    refused = {
        f"cat {secret}": ["cat"],
        f"head -c 20 {secret}": ["head"],
        f"jq . {secret}": ["jq"],
        f"kubectl get pods > {written}": ["kubectl get"],
        f"kubectl get pods $(cat {secret})": ["kubectl get"],
        f"kubectl get pods `cat {secret}`": ["kubectl get"],
        f"kubectl get pods | tee {written}": ["kubectl get", "tee"],
        f"PATH=/tmp kubectl get pods < {secret}": ["kubectl get"],
        "env": ["env"],
        "cat /proc/self/environ": ["cat"],
        "kubectl delete pod -n shop --all": ["kubectl delete"],
    }
    passed = {
        f"kubectl get pods -A < {secret}": ["kubectl get"],
        "kubectl get secrets -A": ["kubectl get"],
        "kubectl get pods --server=http://127.0.0.1:1": ["kubectl get"],
        "kubectl get pods -A -o jsonpath='{.x}' $AWS_SECRET_ACCESS_KEY $RUNE_TASK_TOKEN": ["kubectl get"],
    }
    calls = [bash(command, *prefixes) for command, prefixes in {**refused, **passed}.items()]
    scripts = {"attack": [{"content": "Trying.", "tool_calls": calls}, {"content": "Done trying."}]}
    environment = {"AWS_SECRET_ACCESS_KEY": "planted-aws-key", "RUNE_TASK_TOKEN": "planted-task-token"}
    with simulators("mixed", scripts=scripts) as (ollama, kube):
        asked = params(ollama, kube, "Go. [[attack]]", llm_args={"api_key": "planted-llm-key"})
        call = driver(**environment).start("ask", asked, request_id="r", deadline=120)
        events = list(call.events())
        outcome = call.result()
        assert kube.writes == []
    assert isinstance(outcome, DriverSuccess)
    results = results_by_command([event.data for event in events if event.event == "tool_calling_result"])
    for command in refused:
        assert results[command]["status"] == "error", command
        assert any(word in results[command]["error"] for word in NOT_RUN), command
    assert "cart" in results[f"kubectl get pods -A < {secret}"]["data"]
    assert results["kubectl get secrets -A"]["return_code"] == 126
    assert results["kubectl get pods --server=http://127.0.0.1:1"]["return_code"] == 126
    assert not written.exists()
    assert "planted" not in json.dumps(
        [outcome.result["tool_calls"], *(event.data["result"] for event in events if "result" in event.data)]
    )


def test_a_rejected_call_is_marked_and_the_model_goes_on() -> None:
    with simulators("mixed") as (ollama, kube):
        asked = ask(ollama, kube, "Fix it. [[approve]]")
        assert kube.writes == []
    (event,) = asked.data("tool_calling_result")
    assert event["denied"] is True
    assert asked.result["outcome"] == "completed"
    assert asked.result["pending_approvals"] == []


@pytest.fixture(scope="module")
def paused() -> Any:
    """A run that waits for a decision about a deletion, with its simulators."""
    with simulators("mixed", writable=True) as (ollama, kube):
        asked = ask(ollama, kube, "Fix it. [[approve_mixed]]", tool_approval="pause", approval_key=KEY)
        yield ollama, kube, asked


def resume(paused: Any, *, approved: bool, key: str = KEY, state: dict[str, Any] | None = None) -> Any:
    ollama, kube, asked = paused
    (call,) = asked.result["pending_approvals"]
    kube.reset()
    return ask(
        ollama,
        kube,
        "",
        tool_approval="pause",
        approval_key=key,
        resume_state=state or asked.result["resume_state"],
        tool_decisions=[
            {"tool_call_id": call["tool_call_id"], "approved": approved, "feedback": "not today"}
        ],
    )


def test_a_pause_ends_the_child_and_runs_nothing(paused: Any) -> None:
    _, kube, asked = paused
    assert asked.result["outcome"] == "approval_required"
    assert asked.names[-1] == "approval_required"
    assert [(call["status"], call["error"]) for call in asked.result["tool_calls"]] == [("success", None)]
    assert asked.result["pending_approvals"][0]["params"]["command"].startswith("kubectl delete pod")
    assert kube.writes == []


def test_an_approved_deletion_reaches_the_cluster_once(paused: Any) -> None:
    resumed = resume(paused, approved=True)
    assert [(write["verb"], write["resource"]) for write in paused[1].writes] == [("delete", "pods")]
    assert resumed.result["outcome"] == "completed"
    assert resumed.result["metadata"]["num_llm_calls"] == 2
    assert resumed.result["token_usage"]["llm_calls"] == 2
    assert resumed.names[resumed.names.index("agent_ready") + 1] == "tool_calling_result"


def test_a_denied_deletion_never_reaches_the_cluster(paused: Any) -> None:
    resumed = resume(paused, approved=False)
    assert paused[1].writes == []
    assert "not today" in resumed.data("tool_calling_result")[0]["result"]["error"]


def test_forged_arguments_and_foreign_keys_run_nothing(paused: Any) -> None:
    forged = json.loads(json.dumps(paused[2].result["resume_state"]).replace("app=cart", "app=web"))
    for given in ({"state": forged}, {"key": "the-key-of-another-deployment-012345"}):
        resumed = resume(paused, approved=True, **given)
        assert paused[1].writes == []
        assert resumed.data("tool_calling_result")[0]["result"]["status"] == "error"


def test_a_decision_about_nothing_is_refused(paused: Any) -> None:
    ollama, kube, asked = paused
    given = {
        "resume_state": asked.result["resume_state"],
        "tool_decisions": [{"tool_call_id": "x", "approved": True}],
    }
    outcome = ask(ollama, kube, "", **given).outcome
    assert isinstance(outcome, DriverFailure)
    assert outcome.error_code == "approval_not_pending"
