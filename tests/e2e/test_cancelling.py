"""Stopping jobs on the local server (jobs-api.md 4.7, 17: 15)."""

from __future__ import annotations

import time

import pytest
from tests.e2e.jobs_client import Jobs, asked
from tests.e2e.local_server import LocalServer

SLOTS = 2
RECORD = "driver.jsonl"
"""Part of the command line of the stand-in driver and of what it starts."""


@pytest.fixture(scope="module")
def server_environment() -> dict[str, str]:
    return {"RUNE_TENANT_MAX_RUNNING_RUNS": str(SLOTS)}


@pytest.mark.parametrize("question", ["sleep:60", "tool sleep:60", "stubborn child sleep:60"])
def test_a_running_job_is_cancelled_and_its_driver_is_gone(
    jobs: Jobs, server: LocalServer, question: str
) -> None:
    job_id = jobs.submit(question)
    jobs.until_message(job_id, "asking agent")
    while job_id not in {call["run_id"] for call in asked(server.record)}:
        time.sleep(0.02)
    answer = jobs.http.delete(f"/v1/jobs/{job_id}")
    assert (answer.status_code, answer.json()) == (202, {"job_id": job_id, "status": "cancelling"})
    job = jobs.wait(job_id, seconds=20)
    assert (job["status"], job["error"], job["error_code"]) == ("cancelled", "Cancelled by user", "cancelled")
    assert (job["message"], "result" in job) == ("job cancelled", False)
    assert server.processes(RECORD) == []
    again = jobs.http.delete(f"/v1/jobs/{job_id}")
    assert (again.status_code, again.json()) == (200, {"job_id": job_id, "status": "cancelled"})
    assert jobs.get(job_id) == job
    assert jobs.events(job_id)[-1]["name"] == "job.cancelled"


def test_a_finished_job_cannot_be_cancelled(jobs: Jobs) -> None:
    job = jobs.ask("done")
    for answer in (
        jobs.http.delete(f"/v1/jobs/{job['job_id']}"),
        jobs.http.post(f"/v1/jobs/{job['job_id']}/cancel"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "job_not_cancellable")
    assert jobs.get(job["job_id"]) == job


def test_a_queued_job_is_cancelled_at_once_and_never_started(jobs: Jobs, server: LocalServer) -> None:
    running = [jobs.submit("sleep:60") for _ in range(SLOTS)]
    for job_id in running:
        jobs.until_message(job_id, "asking agent")
    waiting = jobs.submit("never")
    answer = jobs.http.post(f"/v1/jobs/{waiting}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    for job_id in running:
        jobs.http.delete(f"/v1/jobs/{job_id}")
    assert [jobs.wait(job_id, seconds=20)["status"] for job_id in running] == ["cancelled"] * SLOTS
    assert jobs.ask("the next one")["status"] == "succeeded"
    assert waiting not in {call["run_id"] for call in asked(server.record)}
    assert jobs.get(waiting)["status"] == "cancelled"


def test_a_cancelled_slot_is_given_to_the_next_job(jobs: Jobs) -> None:
    running = [jobs.submit("sleep:60") for _ in range(SLOTS)]
    for job_id in running:
        jobs.until_message(job_id, "asking agent")
    waiting = jobs.submit("my turn")
    jobs.http.delete(f"/v1/jobs/{running[0]}")
    assert jobs.wait(waiting)["result"]["answer"] == "my turn"
    jobs.http.delete(f"/v1/jobs/{running[1]}")
