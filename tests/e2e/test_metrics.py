"""The metrics summary of the local server, and following a job with the command line (jobs-api.md 11, 15)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.jobs_client import Jobs
from tests.e2e.local_server import LocalServer, eventually

READ_WITHIN_SECONDS = 5.0
"""Counters follow the log within this time."""


def summary(jobs: Jobs, **query: Any) -> dict[str, Any]:
    answer = jobs.http.get("/v1/metrics/summary", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def counts(jobs: Jobs, **query: Any) -> dict[str, int]:
    return {each["event"]: each["total"] for each in summary(jobs, **query)["events"]}


def test_counters_follow_the_log_of_a_job_that_still_runs(jobs: Jobs) -> None:
    job_id = jobs.submit("ready called sleep:8 done")
    eventually(
        lambda: "agent.tool_call" in counts(jobs, job_id=job_id),
        "the tool call",
        seconds=READ_WITHIN_SECONDS + 30,
    )
    assert jobs.get(job_id)["status"] == "running"
    assert jobs.wait(job_id)["status"] == "succeeded"
    eventually(lambda: "job.succeeded" in counts(jobs), "the end", seconds=READ_WITHIN_SECONDS)
    seen: dict[str, int] = {}
    for event in jobs.events(job_id):
        seen[event["name"]] = seen.get(event["name"], 0) + 1
    assert counts(jobs, job_id=job_id) == seen
    assert summary(jobs)["runs"][0]["job_id"] == job_id


def test_a_job_adds_its_events_to_the_tenants_once(jobs: Jobs) -> None:
    before = counts(jobs).get("job.succeeded", 0)
    job_id = jobs.ask("again")["job_id"]
    eventually(
        lambda: counts(jobs).get("job.succeeded", 0) == before + 1, "the end", seconds=READ_WITHIN_SECONDS
    )
    assert counts(jobs, job_id=job_id)["job.succeeded"] == 1


def test_the_command_line_follows_a_job_and_fetches_its_files(
    jobs: Jobs, server: LocalServer, tmp_path: Path
) -> None:
    job_id = jobs.submit("ready called sleep:1 done")

    def rune(*arguments: str) -> dict[str, Any]:
        ran = subprocess.run(
            [
                sys.executable,
                "-m",
                "rune",
                "--backend",
                "http",
                "--api-base-url",
                server.url,
                "--json",
                *arguments,
            ],
            env={"PATH": server.environment["PATH"], "HOME": str(server.home)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        found: dict[str, Any] = json.loads(ran.stdout)
        return found

    followed = rune("jobs", "logs", job_id)
    assert followed["status"] == "succeeded"
    assert followed["result"]["events"] == jobs.events(job_id)
    assert {each["name"] for each in rune("jobs", "artifacts", job_id)["result"]["artifacts"]} >= {"run.log"}
    rune("jobs", "download", job_id, "run.log")
    assert "job.succeeded" not in (tmp_path / "run.log").read_text()
    assert "agent.tool_call" in (tmp_path / "run.log").read_text()
