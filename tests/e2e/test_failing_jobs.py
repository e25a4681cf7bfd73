"""Whatever is missing or broken ends a job with a text that says so, and nothing hangs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.jobs_client import Jobs, Json, asked
from tests.e2e.local_server import LocalServer, free_port

from rune.sandbox.kube.sim import KubeSim
from rune.sandbox.ollama.server import OllamaSim

DRIVER = "driver_error"
NOWHERE = "http://127.0.0.1:{port}"

CASES: dict[str, tuple[Json, str, str]] = {
    "no server": (
        {"question": "hi", "backend_url": NOWHERE},
        "backend_not_ready",
        "Agent error: the model server does not answer",
    ),
    "no model": (
        {"question": "hi", "model": "nobody:1b"},
        "model_not_found",
        "Agent error: the model server does not have the model",
    ),
    "no tools": (
        {"question": "hi", "model": "notools:1b"},
        "model_lacks_tools",
        "Agent error: the model does not support tools",
    ),
    "small window": (
        {"question": "hi", "model": "tiny:1b"},
        DRIVER,
        "Agent error: the model's context window is too small for the agent",
    ),
    "garbage": ({"question": "garbage"}, DRIVER, "Agent error: driver returned invalid JSON"),
    "crash": ({"question": "crash"}, DRIVER, "Agent error: driver failed"),
    "crash after a model call": ({"question": "tool crash"}, DRIVER, "Agent error: driver failed"),
    "empty": ({"question": "empty"}, "empty_answer", "Agent error: the agent gave no answer"),
    "driver says": ({"question": "fail:model_not_found"}, "model_not_found", "Agent error: as it was told"),
    "deadline": (
        {"question": "tool sleep:60", "timeout_seconds": 10},
        "timeout",
        "execution timeout exceeded",
    ),
}


@pytest.fixture(scope="module")
def submitted(jobs: Jobs) -> dict[str, str]:
    """All at once: some are tried again before they fail."""
    found = {}
    for name, (fields, _, _) in CASES.items():
        body = {"backend_url": jobs.backend, **fields}
        body["backend_url"] = body["backend_url"].format(port=free_port())
        found[name] = jobs.submit(body.pop("question"), **body)
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_job_that_cannot_succeed_fails_with_its_reason(
    jobs: Jobs, submitted: dict[str, str], name: str
) -> None:
    _, code, text = CASES[name]
    job = jobs.wait(submitted[name])
    assert (job["status"], job["error_code"], job["error"]) == ("failed", code, text)
    assert (job["message"], "result" in job) == (text, False)
    last = jobs.events(job["job_id"])[-1]
    assert (last["name"], last["status"], last["message"]) == ("job.failed", "error", text)


def test_a_failing_driver_is_asked_again_only_before_a_model_call(
    jobs: Jobs, server: LocalServer, submitted: dict[str, str]
) -> None:
    for name in ("crash", "crash after a model call"):
        jobs.wait(submitted[name])
    runs = [call["run_id"] for call in asked(server.record)]
    assert runs.count(submitted["crash"]) == 3
    assert runs.count(submitted["crash after a model call"]) == 1


def test_no_driver_is_left(jobs: Jobs, server: LocalServer, submitted: dict[str, str]) -> None:
    for job_id in submitted.values():
        jobs.wait(job_id)
    assert server.processes("driver.jsonl") == []


def test_without_an_agent_environment_a_job_says_so(tmp_path: Path, ollama: OllamaSim) -> None:
    server = LocalServer(tmp_path, RUNE_HOLMES_DRIVER_CMD="", RUNE_AGENT_PYTHON="/nonexistent/python")
    try:
        server.start()
        job = Jobs(server.url, ollama.url).ask("hi")
    finally:
        server.stop()
    assert (job["status"], job["error_code"]) == ("failed", "start_failed")
    assert job["error"].startswith("Agent error: ")
    assert "make agent-venv" in job["error"]


@pytest.mark.agent
def test_a_cluster_that_does_not_answer_fails_the_job_that_named_it(
    tmp_path: Path, ollama: OllamaSim, kubectl: str
) -> None:
    with KubeSim("healthy") as cluster:
        cluster.write_kubeconfig(tmp_path / "config")
        document = (tmp_path / "config").read_text()
    server = LocalServer(tmp_path / "server", RUNE_HOLMES_DRIVER_CMD="", RUNE_KUBECTL=kubectl)
    try:
        server.start()
        job = Jobs(server.url, ollama.url).ask("hi", kubeconfig=document)
    finally:
        server.stop()
    assert (job["status"], job["error_code"]) == ("failed", DRIVER)
    assert "cluster" in job["error"]
    assert "127.0.0.1" not in job["error"]
