"""Runs that wait for people: decided over HTTP and the command line (runs-api.md 18: 20 to 23)."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.e2e.approval_calls import (
    ASKING,
    DECIDER,
    FOREIGN,
    MAKER,
    TOKENS,
    call,
    decide,
    done,
    events,
    pending,
    status,
)
from tests.e2e.jobs_client import Jobs
from tests.e2e.local_server import LocalServer, eventually

from rune.sandbox.ollama.server import OllamaSim
from rune_common.domain.fold import fold


@pytest.fixture(scope="module")
def server_environment() -> dict[str, str]:
    return TOKENS


@pytest.fixture(scope="module")
def jobs(server: LocalServer, ollama: OllamaSim) -> Jobs:
    return Jobs(server.url, ollama.url, token=MAKER)


def test_an_approved_call_is_carried_out_once_and_the_job_goes_on(server: LocalServer, jobs: Jobs) -> None:
    job_id = jobs.submit("allow:x1 then", approval=ASKING)
    (approval,) = pending(server, job_id)
    assert approval["tool"]["params"] == {"command": "kubectl delete pod x1"}
    assert not server.processes("driver.jsonl")
    shown = status(server, job_id)
    assert (shown["status"], shown["pending_approvals"]) == ("awaiting_approval", [approval])
    assert jobs.get(job_id)["status"] == "running"
    own = decide(server, job_id, approval, approve=True, token=MAKER)
    assert (own.status_code, own.json()["error"]["code"]) == (403, "SELF_APPROVAL_FORBIDDEN")
    assert decide(server, job_id, approval, approve=True, token=FOREIGN).status_code == 404
    answer = decide(server, job_id, approval, approve=True)
    assert (answer.status_code, answer.json()["run"]["status"]) == (200, "running")
    job = jobs.wait(job_id)
    assert (job["status"], job["result"]["answer"]) == ("succeeded", "x1:done then")
    assert done(server).count("x1") == 1
    log = events(server, job_id)
    assert fold(log).document() == {
        key: value for key, value in status(server, job_id).items() if key != "links"
    }
    assert status(server, job_id)["usage"]["approval_wait_ms"] > 0


def test_a_denied_call_is_not_carried_out_and_the_reason_arrives(server: LocalServer, jobs: Jobs) -> None:
    job_id = jobs.submit("allow:x2", approval=ASKING)
    assert decide(server, job_id, pending(server, job_id)[0], approve=False).status_code == 200
    assert jobs.wait(job_id)["result"]["answer"] == "x2:not-on-a-Friday"
    assert "x2" not in done(server)
    results = [each["payload"] for each in events(server, job_id) if each["type"] == "tool_result"]
    assert [each["status"] for each in results] == ["denied"]


def test_a_job_asks_nobody_unless_it_says_so(server: LocalServer, jobs: Jobs) -> None:
    assert jobs.ask("allow:x3")["result"]["answer"] == "refused:x3"
    assert "x3" not in done(server)


def test_two_calls_of_one_turn_wait_for_both_decisions(server: LocalServer, jobs: Jobs) -> None:
    job_id = jobs.submit("allow:x4 allow:x5 end", approval=ASKING)
    first, second = pending(server, job_id)
    assert first["pause_id"] == second["pause_id"]
    assert decide(server, job_id, second, approve=False).json()["run"]["status"] == "awaiting_approval"
    assert decide(server, job_id, first, approve=True).json()["run"]["status"] == "running"
    assert jobs.wait(job_id)["result"]["answer"] == "x4:done x5:not-on-a-Friday end"


def test_a_run_pauses_as_often_as_it_has_to(server: LocalServer, jobs: Jobs) -> None:
    job_id = jobs.submit("allow:x6 between allow:x7", approval=ASKING)
    for _ in range(2):
        assert decide(server, job_id, pending(server, job_id)[0], approve=True).status_code == 200
        eventually(lambda: status(server, job_id)["status"] != "running", "the next pause or the end")
    assert jobs.wait(job_id)["status"] == "succeeded"
    assert [name for name in done(server) if name in ("x6", "x7")] == ["x6", "x7"]


def test_a_refusal_ends_a_run_that_is_to_stop(server: LocalServer, jobs: Jobs) -> None:
    job_id = jobs.submit("allow:x8", approval={**ASKING, "on_deny": "stop"})
    decide(server, job_id, pending(server, job_id)[0], approve=False)
    job = jobs.wait(job_id)
    assert (job["status"], job["error_code"]) == ("failed", "approval_denied")
    ended = status(server, job_id)
    assert (ended["exit_reason"], ended["stop_class"]) == ("approval_denied", "blocked_by_policy")


def test_what_nobody_decides_expires(server: LocalServer, jobs: Jobs) -> None:
    job_id = jobs.submit("allow:x9", approval={**ASKING, "timeout_seconds": 5})
    (approval,) = pending(server, job_id)
    job = jobs.wait(job_id)
    assert job["result"]["answer"] == "x9:approval-expired"
    assert "approval_expired" in [each["type"] for each in events(server, job_id)]
    late = decide(server, job_id, approval, approve=True)
    assert (late.status_code, late.json()["error"]["code"]) == (410, "APPROVAL_EXPIRED")


def test_a_cancel_while_a_decision_is_pending_cancels_it(server: LocalServer, jobs: Jobs) -> None:
    job_id = jobs.submit("allow:x10", approval=ASKING)
    (approval,) = pending(server, job_id)
    jobs.http.delete(f"/v1/jobs/{job_id}")
    assert jobs.wait(job_id)["status"] == "cancelled"
    assert "approval_cancelled" in [each["type"] for each in events(server, job_id)]
    late = decide(server, job_id, approval, approve=True)
    assert (late.status_code, late.json()["error"]["code"]) == (409, "APPROVAL_ALREADY_DECIDED")


def test_of_two_racing_decisions_one_wins(server: LocalServer, jobs: Jobs) -> None:
    names = [f"r{number}" for number in range(10)]
    job_id = jobs.submit(" ".join(f"allow:{name}" for name in names), approval=ASKING)
    for approval in pending(server, job_id):
        with ThreadPoolExecutor(2) as pool:
            answers = list(
                pool.map(lambda how, each=approval: decide(server, job_id, each, approve=how), (True, False))
            )
        assert sorted(answer.status_code for answer in answers) == [200, 409]
    jobs.wait(job_id)
    log = events(server, job_id)
    settled = [
        each["payload"]["approval_id"]
        for each in log
        if each["type"] in ("approval_approved", "approval_denied")
    ]
    assert len(settled) == len(set(settled)) == 10
    approved = [each["payload"]["gate"] for each in log if each["type"] == "approval_approved"]
    assert len([name for name in done(server) if name in names]) == len(approved)


def test_interaction_answers_in_one_word(server: LocalServer, jobs: Jobs) -> None:
    job_id = jobs.submit("allow:x11", approval=ASKING)
    pending(server, job_id)
    shown = call(server, "GET", f"/v1/runs/{job_id}/interaction").json()
    assert shown["prompt"] == "bash: kubectl delete pod x11"
    assert call(server, "POST", f"/v1/runs/{job_id}/interaction", json={"response": "Yes"}).status_code == 200
    assert jobs.wait(job_id)["result"]["answer"] == "x11:done"


def test_the_command_line_lists_approves_and_denies(server: LocalServer, jobs: Jobs) -> None:
    job_id = jobs.submit("allow:x12 allow:x13", approval=ASKING)
    first, second = pending(server, job_id)
    listed = rune(server, "list", job_id)
    assert first["subject"]["digest"] in listed
    assert "kubectl delete pod x13" in listed
    assert "approved" in rune(server, "approve", job_id, first["approval_id"])
    assert "the run is running" in rune(server, "deny", job_id, "--reason", "no need")
    assert jobs.wait(job_id)["result"]["answer"] == "x12:done x13:no-need"
    assert second["approval_id"]


def rune(server: LocalServer, *arguments: str) -> str:
    command = [
        sys.executable,
        "-m",
        "rune",
        "--backend",
        "http",
        "--api-base-url",
        server.url,
        "approvals",
        *arguments,
    ]
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(server.home),
        "COLUMNS": "200",
        "RUNE_API_TOKEN": DECIDER,
    }
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=environment, cwd=server.folder
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_run_of_the_runs_api_asks_by_default_and_advice_never_does(
    server: LocalServer, ollama: OllamaSim
) -> None:
    body = {"question": "allow:y1", "backend_url": ollama.url}
    run_id = call(server, "POST", "/api/v1/runs", MAKER, json=body).json()["run_id"]
    assert decide(server, run_id, pending(server, run_id)[0], approve=True).status_code == 200
    eventually(lambda: status(server, run_id)["status"] == "completed", "the run to end")
    assert "y1" in done(server)
    advice = call(
        server, "POST", "/api/v1/runs", MAKER, json={**body, "question": "allow:y2", "mode": "advice"}
    )
    run_id = advice.json()["run_id"]
    eventually(lambda: status(server, run_id)["status"] == "completed", "the run to end")
    assert status(server, run_id)["result"]["analysis"] == "refused:y2"


def test_a_benchmark_waits_as_well(server: LocalServer, jobs: Jobs, ollama: OllamaSim) -> None:
    body = {"question": "allow:y3", "backend_url": ollama.url, "approval": ASKING}
    job_id = call(server, "POST", "/v1/jobs/benchmark", MAKER, json=body).json()["job_id"]
    assert decide(server, job_id, pending(server, job_id)[0], approve=True).status_code == 200
    assert jobs.wait(job_id)["result"]["answer"] == "y3:done"
