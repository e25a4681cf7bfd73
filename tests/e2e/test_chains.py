"""Chains as a client sees them: acceptance 26, cancelling, concurrency, the command line (jobs-api.md 8)."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.e2e.jobs_client import Jobs, asked, most_at_once
from tests.e2e.local_server import LocalServer, eventually

Json = dict[str, Any]


def submit(jobs: Jobs, *steps: Json, **fields: Any) -> str:
    answer = jobs.http.post("/v1/chains", json={"steps": steps, "backend_url": jobs.backend, **fields})
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


def step(name: str, question: str, *dependencies: str) -> Json:
    return {"name": name, "question_template": question, "dependencies": dependencies}


def state(jobs: Jobs, job_id: str) -> Json:
    found: Json = jobs.http.get(f"/v1/chains/{job_id}/state").json()
    return found


def statuses(found: Json) -> dict[str, str]:
    return {node["id"]: node["status"] for node in found["nodes"]}


def test_acceptance_26(jobs: Jobs) -> None:
    steps = (
        step("a", "fail:agent_error"),
        step("b", "never {a}", "a"),
        step("d", "never {b}", "b"),
        step("c", "all is well"),
    )
    job_id = submit(jobs, *steps)
    job = jobs.wait(job_id)
    assert (job["status"], job["error_code"], job["kind"]) == ("failed", "chain_failed", "chain")
    found = state(jobs, job_id)
    assert statuses(found) == {"a": "failed", "b": "skipped", "d": "skipped", "c": "success"}
    assert found["overall_status"] == job["result"]["overall_status"] == "failed"
    assert job["result"]["steps"]["c"] == {"status": "success", "answer": "all is well"}
    assert job["result"]["answer"] == "all is well"
    ends = [each["labels"] for each in jobs.events(job_id) if each["event"] == "chain.step"]
    assert {each["step"]: each["status"] for each in ends} == statuses(found)
    assert jobs.events(job_id)[-1]["event"] == "job.failed"
    cycle = jobs.http.post("/v1/jobs/chain", json={"steps": [step("a", "q", "b"), step("b", "q", "a")]})
    assert (cycle.status_code, cycle.json()["details"][0]["code"]) == (400, "cycle")


def test_answers_go_from_step_to_step(jobs: Jobs) -> None:
    steps = (
        step("find", "{what} crashes"),
        step("why", "because {find}", "find"),
        step("fix", "restart for {find}", "find"),
    )
    job = jobs.wait(submit(jobs, *steps, context={"what": "cart"}))
    assert job["status"] == "succeeded", job
    assert job["result"]["answer"] == "because cart crashes\n\nrestart for cart crashes"
    assert job["result"]["token_usage"]["total_tokens"] == 45
    assert job["result"]["metadata"]["driver_version"] == "stand-in"


def test_at_most_five_steps_run_at_once(jobs: Jobs, server: LocalServer) -> None:
    server.record.unlink(missing_ok=True)
    job_id = submit(jobs, *(step(f"s{number}", "sleep:1 done") for number in range(7)))
    assert jobs.wait(job_id)["status"] == "succeeded"
    assert len(asked(server.record)) == 7
    assert 2 <= most_at_once(server.record) <= 5


def test_a_cancel_stops_every_running_driver(jobs: Jobs, server: LocalServer) -> None:
    job_id = submit(jobs, step("a", "sleep:60"), step("b", "sleep:60"), step("c", "never", "a"))
    eventually(lambda: len(server.processes("stand_in.py")) >= 2, "both drivers")
    assert jobs.http.delete(f"/v1/jobs/{job_id}").json()["status"] == "cancelling"
    assert jobs.wait(job_id, seconds=20)["status"] == "cancelled"
    assert server.processes("stand_in.py") == []
    found = state(jobs, job_id)
    assert statuses(found) == {"a": "failed", "b": "failed", "c": "skipped"}
    assert {node["error"] for node in found["nodes"]} == {"cancelled", None}


def test_with_stop_a_failure_ends_what_runs(jobs: Jobs, server: LocalServer) -> None:
    steps = (
        step("slow", "sleep:60"),
        step("bad", "sleep:1 fail:agent_error"),
        step("later", "never", "slow"),
    )
    job = jobs.wait(submit(jobs, *steps, on_failure="stop"), seconds=30)
    assert (job["status"], job["error_code"]) == ("failed", "chain_failed")
    assert job["result"]["steps"]["slow"] == {"status": "failed", "error": "stopped"}
    assert job["result"]["steps"]["later"] == {"status": "skipped"}
    assert server.processes("stand_in.py") == []


def test_the_command_line_runs_a_chain_on_the_server(jobs: Jobs, server: LocalServer) -> None:
    chain = {"steps": [step("a", "one"), step("b", "two after {a}", "a")], "backend_url": jobs.backend}
    (server.folder / "chain.json").write_text(json.dumps(chain))
    command = [sys.executable, "-m", "rune", "--backend", "http", "--api-base-url", server.url]
    ran = subprocess.run(
        [*command, "run-chain", "chain.json"],
        cwd=server.folder,
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert "two after one" in ran.stdout
    assert "chain.step  a  success" in ran.stderr


def test_the_command_line_runs_a_chain_in_its_own_process(jobs: Jobs, server: LocalServer) -> None:
    chain = {"steps": [step("a", "one"), step("b", "fail:agent_error {a}", "a")], "backend_url": jobs.backend}
    (server.folder / "chain.yaml").write_text(json.dumps(chain))
    ran = subprocess.run(
        [sys.executable, "-m", "rune", "--json", "run-chain", "chain.yaml"],
        cwd=server.folder,
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 1, ran.stderr
    answer = json.loads(ran.stdout)
    assert (answer["ok"], answer["code"]) == (False, "chain_failed")
    assert answer["result"]["steps"]["a"] == {"status": "success", "answer": "one"}


def test_a_chain_goes_on_after_its_worker_was_killed(jobs: Jobs, server: LocalServer) -> None:
    server.record.unlink(missing_ok=True)
    job_id = submit(jobs, step("a", "sleep:3 first"), step("b", "after {a}", "a"))
    eventually(lambda: asked(server.record), "the driver to be asked")
    worker = server.worker()
    assert worker is not None
    worker.kill()
    job = jobs.wait(job_id)
    assert job["status"] == "succeeded", job
    assert job["result"]["answer"] == "after first"
    assert len(asked(server.record)) == 3
