"""What is refused before the model is asked anything. The library is never waited for."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import yaml
from tests.e2e.holmes_driver import agent_python, ask, chats, driver, params, simulators

from rune.sandbox.kube.sim import KubeSim
from rune.sandbox.ollama.server import OllamaSim
from rune_common.domain.driver_protocol import DriverFailure

pytestmark = pytest.mark.agent


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"model": "notools:1b"}, "model_lacks_tools"),
        ({"model": "tiny:1b"}, "context_too_small"),
        ({"model": "missing:1b"}, "model_not_found"),
        ({"images": ["data:image/png;base64,AAAA"]}, "model_lacks_vision"),
        ({"context_window": 4_096}, "context_too_small"),
    ],
)
def test_a_model_that_will_not_do_is_refused_before_any_chat(change: dict[str, Any], code: str) -> None:
    with simulators("healthy") as (ollama, kube):
        failed = ask(ollama, kube, "Say. [[plain]]", **change).failure
        assert chats(ollama) == []
    assert failed.error_code == code


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"match": {"path": "/api/version"}, "kind": "reset"}, "backend_unreachable"),
        ({"match": {"path": "/api/version"}, "kind": "status", "status": 401}, "backend_auth"),
        ({"match": {"path": "/api/tags"}, "kind": "garbage"}, "backend_error"),
        ({"match": {"path": "/api/generate"}, "kind": "status", "status": 500}, "model_load_failed"),
    ],
)
def test_a_broken_server_is_found_before_the_investigation(fault: dict[str, Any], code: str) -> None:
    with simulators("healthy") as (ollama, kube):
        ollama.fault(**fault)
        failed = ask(ollama, kube, "Say. [[plain]]").failure
        assert chats(ollama) == []
    assert failed.error_code == code
    assert failed.retryable is (code not in {"backend_auth"})


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with OllamaSim() as ollama:
        asked = params(ollama, None, "Say. [[plain]]")
    call = driver().start("ask", asked, request_id="r", deadline=60)
    result = call.result()
    assert isinstance(result, DriverFailure)
    assert (result.error_code, result.retryable) == ("backend_unreachable", True)


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254", "http://10.0.0.7:11434", "http://[fe80::1]:11434", "http://user:pw@127.0.0.1"],
)
def test_a_forbidden_address_is_refused_without_a_connection(url: str) -> None:
    with simulators("healthy") as (ollama, kube):
        failed = ask(ollama, kube, "Say. [[plain]]", backend_url=url).failure
        assert ollama.requests == kube.requests == []
    assert (failed.error_code, failed.retryable) == ("backend_not_allowed", False)


def changed(kube: KubeSim, section: str, entry: str, **fields: Any) -> str:
    document = yaml.safe_load(kube.kubeconfig())
    document[section][0][entry].update(fields)
    return yaml.safe_dump(document)


@pytest.mark.parametrize(
    ("section", "entry", "fields"),
    [
        ("users", "user", {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "id"}}),
        ("users", "user", {"tokenFile": "/etc/passwd"}),
        ("clusters", "cluster", {"certificate-authority": "/etc/passwd"}),
        ("clusters", "cluster", {"proxy-url": "http://127.0.0.1:1"}),
        ("clusters", "cluster", {"server": "http://169.254.169.254"}),
    ],
)
def test_a_dangerous_kubeconfig_is_refused_without_a_connection(
    section: str, entry: str, fields: dict[str, Any]
) -> None:
    with simulators("healthy") as (ollama, kube):
        config = changed(kube, section, entry, **fields)
        failed = ask(ollama, kube, "Say. [[plain]]", kubeconfig=config).failure
        assert ollama.requests == kube.requests == []
    assert failed.error_code == "kubeconfig_not_allowed"


def test_a_cluster_that_was_named_must_be_there() -> None:
    with OllamaSim() as ollama:
        assert ask(ollama, None, "Say.", require_cluster=True).failure.error_code == "cluster_not_configured"
        with KubeSim("healthy") as kube:
            config = kube.kubeconfig()
        failed = ask(ollama, None, "Say.", require_cluster=True, kubeconfig=config).failure
    assert failed.error_code == "cluster_unreachable"


def test_a_cluster_that_refuses_the_token_is_an_authentication_error() -> None:
    with simulators("healthy") as (ollama, kube):
        config = changed(kube, "users", "user", token="wrong")
        failed = ask(ollama, kube, "Say.", kubeconfig=config).failure
    assert (failed.error_code, failed.retryable) == ("cluster_auth", False)


def test_a_cluster_that_never_answers_is_noticed_in_seconds() -> None:
    with simulators("healthy") as (ollama, kube):
        kube.fault(match={"path": "/version"}, kind="hang")
        failed = ask(ollama, kube, "Say. [[plain]]").failure
        assert chats(ollama) == []
    assert (failed.error_code, failed.retryable) == ("cluster_unreachable", True)


def test_a_missing_model_is_pulled_when_the_caller_may() -> None:
    with OllamaSim(models=["llama3.1:8b"]) as ollama:
        asked = ask(ollama, None, "Say. [[plain]]", model="qwen2.5:14b", pull=True)
    assert asked.result["answer"]
    assert asked.data("pull_progress")
    assert asked.result["metadata"]["warnings"] == ["no_cluster_access"]


def talk(*lines: object) -> list[dict[str, Any]]:
    ended = subprocess.run(
        [agent_python(), "-m", "rune_agent.entry_stdio"],
        input="".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines),
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_info_is_answered_without_the_library() -> None:
    (answer,) = talk({"action": "info", "id": "i"})
    assert answer["result"]["actions"] == ["ask", "info", "cancel"]
    assert answer["result"]["features"] == ["stream", "approval"]
    assert (answer["status"], answer["id"], answer["result"]["name"]) == ("ok", "i", "holmes")


def test_a_cancel_of_nothing_cancels_nothing() -> None:
    (answer,) = talk({"action": "cancel", "params": {"job_id": "j"}, "id": "c"})
    assert answer["result"] == {"cancelled": False}


@pytest.mark.parametrize(
    ("line", "code", "request_id"),
    [
        ("no json", "bad_request", ""),
        ({"action": "ask", "params": [], "id": "x"}, "bad_request", ""),
        ({"action": "dance", "id": "x"}, "unsupported_action", "x"),
        ({"action": "ask", "params": {}, "id": "x"}, "bad_request", "x"),
    ],
)
def test_a_bad_request_is_answered(line: object, code: str, request_id: str) -> None:
    (answer,) = talk(line)
    assert (answer["status"], answer["error_code"], answer["id"]) == ("error", code, request_id)
