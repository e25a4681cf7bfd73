"""`python -m rune` against a running server (jobs-api.md 15, 17: 31)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.jobs_client import Jobs
from tests.e2e.local_server import PATIENCE_SECONDS, LocalServer, eventually

Ended = subprocess.CompletedProcess[str]
Rune = Callable[..., Ended]


@dataclass(frozen=True, slots=True)
class Command:
    """A command line up to the command's name, and where it runs."""

    start: list[str]
    environment: dict[str, str]
    folder: Path


@pytest.fixture
def arguments(server: LocalServer, tmp_path: Path) -> Command:
    """The command up to its name, and where it runs."""
    command = [sys.executable, "-m", "rune", "--backend", "http", "--api-base-url", server.url]
    environment = {"PATH": server.environment["PATH"], "HOME": str(tmp_path)}
    return Command(command, environment, tmp_path)


@pytest.fixture
def rune(arguments: Command) -> Rune:
    def run(*words: str) -> Ended:
        return subprocess.run(
            [*arguments.start, *words],
            env=arguments.environment,
            cwd=arguments.folder,
            text=True,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    return run


def ask(jobs: Jobs, question: str, *options: str) -> list[str]:
    return ["run-agentic-agent", "--backend-url", jobs.backend, "-q", question, *options]


def test_a_question_is_asked_and_its_answer_shown(rune: Rune, jobs: Jobs) -> None:
    ended = rune(*ask(jobs, "the cart crashes"))
    assert ended.returncode == 0, ended.stderr
    assert "Agent Answer (text)" in ended.stdout
    assert "the cart crashes" in ended.stdout
    assert "Workflow Lifecycle Metrics" in ended.stdout
    assert rune(*ask(jobs, "cold", "--no-ollama-warmup")).returncode == 0


def test_json_is_one_object_and_nothing_else(rune: Rune, jobs: Jobs) -> None:
    ended = rune("--json", *ask(jobs, "hi there"))
    document = json.loads(ended.stdout)
    assert (ended.returncode, document["ok"], document["status"]) == (0, True, "succeeded")
    assert document["command"] == "run-agentic-agent"
    assert document["result"]["answer"] == "hi there"
    assert jobs.get(document["job_id"])["status"] == "succeeded"


def test_a_failed_job_is_told_by_text_and_exit_code(rune: Rune, jobs: Jobs) -> None:
    ended = rune(*ask(jobs, "garbage"))
    assert ended.returncode == 1
    assert "failed: Agent error: driver returned invalid JSON" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    ended = rune("--json", *ask(jobs, "empty"))
    document = json.loads(ended.stdout)
    assert (ended.returncode, document["ok"], document["code"]) == (1, False, "empty_answer")


def test_a_refused_request_is_told(rune: Rune, jobs: Jobs) -> None:
    ended = rune("run-agentic-agent", "--backend-url", "http://169.254.169.254", "-q", "hi")
    assert ended.returncode == 1
    assert "backend_url is not allowed by policy" in ended.stdout + ended.stderr


def test_usage_errors_have_their_own_exit_code(server: LocalServer, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "rune", "--backend", "pigeon", "jobs", "list"],
        env={"PATH": server.environment["PATH"], "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        timeout=PATIENCE_SECONDS,
    )
    assert ended.returncode == 2


def test_jobs_are_listed_read_and_their_events_shown(rune: Rune, jobs: Jobs) -> None:
    job_id = jobs.ask("called to be seen")["job_id"]
    for words in (
        ["jobs", "list"],
        ["jobs", "get", job_id],
        ["jobs", "events", job_id],
        ["jobs", "logs", job_id],
    ):
        ended = rune(*words)
        assert ended.returncode == 0, (words, ended.stderr)
        assert ("agent.tool_call" if words[1] in ("events", "logs") else job_id) in ended.stdout
        document = json.loads(rune("--json", *words).stdout)
        assert (document["ok"], document["command"]) == (True, f"jobs {words[1]}")
    assert rune("jobs", "get", "unknown").returncode == 1


def test_logs_follow_a_job_to_its_end(rune: Rune, jobs: Jobs) -> None:
    job_id = jobs.submit("ready called sleep:2 done")
    ended = rune("jobs", "logs", job_id)
    assert ended.returncode == 0
    assert "job.queued" in ended.stdout.splitlines()[0]
    assert "job.succeeded" in ended.stdout.splitlines()[-1]


def test_no_wait_prints_the_id_and_cancel_stops_the_job(rune: Rune, jobs: Jobs) -> None:
    ended = rune(*ask(jobs, "sleep:60", "--no-wait"))
    job_id = ended.stdout.strip().splitlines()[-1]
    assert ended.returncode == 0
    jobs.until_message(job_id, "asking agent")
    ended = rune("jobs", "cancel", job_id)
    assert (ended.returncode, "cancel" in ended.stdout) == (0, True)
    assert jobs.wait(job_id, seconds=20)["status"] == "cancelled"
    assert rune("jobs", "cancel", jobs.ask("over")["job_id"]).returncode == 1


def test_one_idempotency_key_is_one_job(rune: Rune, jobs: Jobs) -> None:
    words = ["--json", *ask(jobs, "only once", "--idempotency-key", "cli-key")]
    first, second = (json.loads(rune(*words).stdout) for _ in range(2))
    assert first["job_id"] == second["job_id"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_the_job(arguments: Command, jobs: Jobs, number: signal.Signals, code: int) -> None:
    marker = f"sleep:60 {number.name}"
    with subprocess.Popen(
        [*arguments.start, *ask(jobs, marker)],
        env=arguments.environment,
        cwd=arguments.folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        job_id = eventually(lambda: _running(jobs, marker), "the job to run")
        process.send_signal(number)
        output = "".join(process.communicate(timeout=PATIENCE_SECONDS))
    assert process.returncode == code, output
    assert "Traceback" not in output
    assert jobs.wait(job_id, seconds=20)["status"] == "cancelled"


def _running(jobs: Jobs, question: str) -> str:
    listed = jobs.http.get("/v1/jobs", params={"status": "running"}).json()["jobs"]
    for job in listed:
        seen = jobs.http.get(f"/v1/jobs/{job['job_id']}", params={"include": "request"}).json()
        if seen["request"]["question"] == question and seen["message"] == "asking agent":
            job_id: str = job["job_id"]
            return job_id
    return ""
