"""The real agent finds what is wrong in simulated clusters, and says how it got there."""

from __future__ import annotations

import json
import subprocess
import threading
from typing import Any

import pytest
from tests.e2e.holmes_driver import QUESTION, Asked, agent_python, ask, chats, kubectl, params, simulators

pytestmark = pytest.mark.agent

CAUSES = {
    "crash_loop": ("shop/cart", "could not resolve host"),
    "oom_killed": ("shop/batch", "memory limit"),
    "image_pull_error": ("shop/api", "image"),
    "pending": ("shop/ml", "Insufficient memory"),
    "bad_config": ("shop/auth", "auth-config"),
}


@pytest.mark.parametrize("scenario", CAUSES)
def test_the_answer_names_the_pod_and_its_cause(scenario: str) -> None:
    with simulators(scenario) as (ollama, kube):
        result = ask(ollama, kube, QUESTION).result
    pod, cause = CAUSES[scenario]
    assert pod in result["answer"]
    assert cause.lower() in result["answer"].lower()
    assert result["answer"] == result["analysis"]
    assert {call["status"] for call in result["tool_calls"]} <= {"success", "no_data"}


def test_a_healthy_cluster_is_called_so() -> None:
    with simulators("healthy") as (ollama, kube):
        assert "No unhealthy pods found" in ask(ollama, kube, QUESTION).result["answer"]


def test_a_streamed_call_is_numbered_and_complete() -> None:
    with simulators("crash_loop") as (ollama, kube):
        asked = ask(ollama, kube, "Look. [[bash]]")
    assert [event.seq for event in asked.events] == list(range(1, len(asked.events) + 1))
    begin = asked.names.index("agent_ready")
    assert asked.names[begin:] == [
        "agent_ready",
        "token_count",
        "start_tool_calling",
        "tool_calling_result",
        "token_count",
        "token_count",
        "ai_answer_end",
    ]
    assert {check["check"] for check in asked.data("preflight")} == {
        "address",
        "version",
        "model",
        "capabilities",
        "warmup",
        "cluster",
    }
    (started,) = asked.data("start_tool_calling")
    assert started["params"]["command"] == "kubectl get pods -A"
    assert started["turn"] == 1


def test_a_result_adds_up() -> None:
    with simulators("crash_loop") as (ollama, kube):
        result = ask(ollama, kube, "Look. [[bash]]").result
    usage, tokens = result["token_usage"], result["telemetry"]["tokens"]
    assert usage["llm_calls"] == result["metadata"]["num_llm_calls"] == 2
    assert tokens["total"] == usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert tokens["output"] + tokens["agent_reasoning"] == usage["completion_tokens"]
    assert tokens["system_prompt"] > 0
    assert (result["telemetry"]["cost_estimate_usd"], result["telemetry"]["unpriced"]) == (None, True)
    assert [entry["phase"] for entry in result["telemetry"]["latency"]] == [
        "preflight",
        "startup",
        "warmup",
        "llm",
        "tools",
        "total",
    ]


def test_without_stream_stdout_is_one_document() -> None:
    with simulators("healthy") as (ollama, kube):
        request = {"action": "ask", "params": params(ollama, kube, "Say. [[plain]]"), "id": "r-1"}
        ended = subprocess.run(
            [agent_python(), "-m", "rune_agent.entry_stdio"],
            input=json.dumps(request) + "\n",
            env={"PATH": "/usr/bin:/bin", "RUNE_KUBECTL": kubectl()},
            capture_output=True,
            text=True,
            check=True,
        )
    document = json.loads(ended.stdout)
    assert (document["status"], document["id"], document["result"]["outcome"]) == ("ok", "r-1", "completed")


@pytest.mark.parametrize("model", ["llama3.1:8b", "ollama/llama3.1:8b"])
def test_every_chat_names_the_model_and_its_window_and_the_model_loads_once(model: str) -> None:
    with simulators("healthy") as (ollama, kube):
        ask(ollama, kube, "Look. [[bash]]", model=model, context_window=20_000)
        assert [(chat["model"], chat["options"]["num_ctx"]) for chat in chats(ollama)] == [
            ("llama3.1:8b", 20_000)
        ] * 2
        counts = ollama.load_counts["llama3.1:8b"]
        assert ollama.cut_prompts == 0
        shows = [r.json() for r in ollama.requests if r.path == "/api/show"]
    assert (counts.loads, counts.reloads) == (1, 0)
    assert {show.get("model") or show.get("name") for show in shows} == {"llama3.1:8b"}


def test_a_large_result_is_cut_to_fit() -> None:
    with simulators("mixed") as (ollama, kube):
        asked = ask(ollama, kube, "Everything. [[big]]")
    (record,) = asked.result["metadata"]["truncations"]
    (event,) = asked.data("tool_calling_result")
    assert event["result"]["data"].endswith("\n[TRUNCATED]")
    assert record["end_index"] == len(event["result"]["data"]) - len("\n[TRUNCATED]")
    assert record["original_token_count"] > 20_000 * 15 // 100
    assert asked.result["tool_calls"][0]["truncated"] is True


def test_a_schema_is_met_after_the_tools_were_used() -> None:
    schema = {
        "type": "object",
        "properties": {
            "healthy": {"type": "boolean"},
            "findings": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["healthy", "findings"],
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "health", "strict": True, "schema": schema}}
    with simulators("crash_loop") as (ollama, kube):
        result = ask(ollama, kube, "Look. [[schema]]", response_format=wanted).result
        formats = [chat.get("format") for chat in chats(ollama)]
    assert result["result_type"] == "structured"
    assert json.loads(result["answer"]) == result["data"]
    assert set(result["data"]) == {"healthy", "findings"}
    assert [bool(given) for given in formats] == [False, False, True]
    assert [call["tool_name"] for call in result["tool_calls"]] == ["bash"]


def test_two_tenants_at_once_see_nothing_of_each_other() -> None:
    asked: dict[str, Asked] = {}

    def run(scenario: str) -> None:
        with simulators(scenario) as (ollama, kube):
            asked[scenario] = ask(ollama, kube, QUESTION)

    threads = [threading.Thread(target=run, args=(name,)) for name in ("crash_loop", "oom_killed")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = {
        name: json.dumps([found.result, *(e.data for e in found.events)]) for name, found in asked.items()
    }
    assert "cart" in told["crash_loop"]
    assert "batch" in told["oom_killed"]
    assert "batch-" not in told["crash_loop"]
    assert "cart-" not in told["oom_killed"]


def fault(kind: str, **more: Any) -> dict[str, Any]:
    return {"match": {"path": "/api/chat"}, "kind": kind, **more}


def test_a_busy_server_is_asked_again() -> None:
    with simulators("healthy") as (ollama, kube):
        ollama.fault(**fault("status", status=429, times=2))
        asked = ask(ollama, kube, "Say. [[plain]]")
    assert [(retry["status"], retry["attempt"]) for retry in asked.data("llm_retry")] == [(429, 1), (429, 2)]
    assert asked.result["answer"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (fault("status", status=500, body={"error": "llama runner process has terminated"}), "backend_error"),
        (fault("status", status=401), "backend_auth"),
        (fault("hang"), "backend_timeout"),
        (fault("truncate"), "backend_error"),
        (fault("reset"), "backend_unreachable"),
        (fault("garbage"), "backend_error"),
    ],
)
def test_a_failing_server_is_told_by_its_code(given: dict[str, Any], code: str) -> None:
    with simulators("healthy") as (ollama, kube):
        ollama.fault(**given)
        failed = ask(ollama, kube, "Say. [[plain]]", llm_timeout_seconds=5).failure
        port = ollama.url.rpartition(":")[2]
    assert failed.error_code == code
    assert failed.retryable is False, "the model had been called"
    assert port not in failed.error
    assert "Traceback" not in failed.error


@pytest.mark.parametrize(
    ("script", "code"), [("empty", "empty_answer"), ("texttool", "tool_call_as_text"), ("loop", "max_steps")]
)
def test_an_answer_that_is_none_is_an_error(script: str, code: str) -> None:
    with simulators("healthy") as (ollama, kube):
        failed = ask(ollama, kube, f"Go. [[{script}]]", max_steps=2).failure
        calls = len(chats(ollama))
    assert failed.error_code == code
    assert calls == {"empty": 2, "texttool": 1, "loop": 2}[script]
    assert len(failed.details["tool_calls"]) == (2 if script == "loop" else 0)
