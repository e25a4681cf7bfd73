"""Killed workers and servers: jobs end with a reason, and nothing that was started stays (jobs-api.md 17: 16)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.e2e.jobs_client import Jobs, asked, assert_sound_log, opened_store, whole_log
from tests.e2e.local_server import GONE_SECONDS, LocalServer, command_line, eventually

from rune.sandbox.kube.sim import KubeSim
from rune.sandbox.ollama.server import OllamaSim
from rune_common.domain.runs import RunState

QUESTION = "What is unhealthy in this Kubernetes cluster?"


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[LocalServer]:
    found = LocalServer(tmp_path)
    try:
        found.start()
        yield found
    finally:
        found.stop()


def until_asked(server: LocalServer, job_id: str, times: int = 1) -> None:
    eventually(
        lambda: sum(call["run_id"] == job_id for call in asked(server.record)) >= times,
        "the driver to be asked",
    )


def until_tool_called(jobs: Jobs, job_id: str) -> None:
    """From then on the run's record says that the model was asked."""
    eventually(
        lambda: "agent.tool_call" in [event["name"] for event in jobs.events(job_id)],
        "a tool call in the log",
    )


def driver_gone(server: LocalServer) -> None:
    eventually(lambda: not server.processes("driver.jsonl"), "the driver to be gone", seconds=GONE_SECONDS)


def kill_worker(server: LocalServer) -> psutil.Process:
    worker = eventually(server.worker, "a worker")
    assert worker is not None
    worker.kill()
    return worker


def test_a_job_whose_model_was_asked_ends_as_worker_lost_when_its_worker_is_killed(
    own_server: LocalServer, ollama: OllamaSim
) -> None:
    jobs = Jobs(own_server.url, ollama.url)
    job_id = jobs.submit("called tool sleep:60")
    until_tool_called(jobs, job_id)
    killed = kill_worker(own_server)
    job = jobs.wait(job_id)
    assert (job["status"], job["error_code"], job["error"]) == ("failed", "worker_lost", "worker lost")
    assert jobs.events(job_id)[-2:][0]["name"] == "job.execute"
    driver_gone(own_server)
    assert own_server.worker() not in (None, killed)
    assert jobs.ask("still here")["status"] == "succeeded"
    own_server.stop()
    with opened_store(own_server.data_dir) as (store, _):
        assert_sound_log(whole_log(store, job_id), job_id)


def test_a_job_whose_model_was_not_asked_yet_is_resumed_when_its_worker_is_killed(
    own_server: LocalServer, ollama: OllamaSim
) -> None:
    jobs = Jobs(own_server.url, ollama.url)
    job_id = jobs.submit("sleep:4 answered")
    until_asked(own_server, job_id)
    kill_worker(own_server)
    job = jobs.wait(job_id)
    assert (job["status"], job.get("error")) == ("succeeded", None)
    assert job["result"]["answer"] == "answered"
    driver_gone(own_server)


@pytest.mark.parametrize(
    "question", ["called tool sleep:60", "sleep:3 answered", "called tool stubborn child sleep:60"]
)
def test_a_killed_server_takes_everything_with_it_and_its_job_ends_after_the_restart(
    own_server: LocalServer, ollama: OllamaSim, question: str
) -> None:
    jobs = Jobs(own_server.url, ollama.url)
    job_id = jobs.submit(question)
    waiting = [jobs.submit(f"waiting {n}") for n in range(3)]
    until_asked(own_server, job_id)
    if question.startswith("called"):
        until_tool_called(jobs, job_id)
    own_server.kill()
    own_server.all_gone()
    own_server.start()
    job = jobs.wait(job_id)
    if question.startswith("called"):
        assert (job["status"], job["error_code"], job["error"]) == ("failed", "worker_lost", "worker lost")
    else:
        assert (job["status"], job["result"]["answer"]) == ("succeeded", "answered")
    assert [jobs.wait(each)["status"] for each in waiting] == ["succeeded"] * 3
    assert own_server.terminate() == 0
    own_server.all_gone()
    with opened_store(own_server.data_dir) as (store, _):
        for each in (job_id, *waiting):
            assert_sound_log(whole_log(store, each), each)


def test_a_job_that_was_being_cancelled_is_cancelled_after_the_restart(
    own_server: LocalServer, ollama: OllamaSim
) -> None:
    jobs = Jobs(own_server.url, ollama.url)
    job_id = jobs.submit("tool stubborn sleep:60")
    until_asked(own_server, job_id)
    assert jobs.http.delete(f"/v1/jobs/{job_id}").status_code == 202
    own_server.kill()
    own_server.all_gone()
    own_server.start()
    job = jobs.wait(job_id)
    assert (job["status"], job["error"]) == ("cancelled", "Cancelled by user")


def test_no_kubeconfig_of_a_killed_attempt_stays_in_a_file(
    own_server: LocalServer, ollama: OllamaSim
) -> None:
    with KubeSim("healthy") as cluster:
        cluster.write_kubeconfig(own_server.folder / "given")
    jobs = Jobs(own_server.url, ollama.url)
    job_id = jobs.submit("called sleep:60", kubeconfig=(own_server.folder / "given").read_text())
    until_tool_called(jobs, job_id)
    assert list(own_server.data_dir.rglob("kubeconfig"))
    own_server.kill()
    own_server.all_gone()
    own_server.start()
    assert jobs.wait(job_id)["error_code"] == "worker_lost"
    assert list(own_server.data_dir.rglob("kubeconfig")) == []


def test_a_second_server_on_the_same_folder_is_refused(own_server: LocalServer) -> None:
    other = LocalServer(own_server.folder)
    with pytest.raises(AssertionError, match="another server uses this RUNE_DATA_DIR"):
        other.start()


@pytest.mark.agent
def test_a_killed_servers_real_agent_and_its_kubectl_are_gone(
    tmp_path: Path, ollama: OllamaSim, kubectl: str
) -> None:
    with KubeSim("crash_loop") as cluster:
        cluster.write_kubeconfig(tmp_path / "config")
        cluster.fault(kind="hang", match={"path": "/api/v1/pods*"})
        server = LocalServer(tmp_path / "server", RUNE_HOLMES_DRIVER_CMD="", RUNE_KUBECTL=kubectl)
        jobs = Jobs(server.url, ollama.url)
        try:
            server.start()
            job_id = jobs.submit(QUESTION, kubeconfig=(tmp_path / "config").read_text())
            eventually(
                lambda: [each for each in server.family() if "get pods" in command_line(each)], "kubectl"
            )
            family = server.family()
            assert any("rune_agent" in command_line(each) for each in family)
            server.kill()
            server.all_gone(family)
            server.start()
            job = jobs.wait(job_id)
            assert job["status"] in ("succeeded", "failed")
            assert job["status"] == "succeeded" or job["error"]
        finally:
            server.stop()
    with opened_store(server.data_dir) as (store, _):
        run = store.get("default", job_id)
        assert run is not None
        assert run.state in (RunState.SUCCEEDED, RunState.FAILED)
        assert_sound_log(whole_log(store, job_id), job_id)
