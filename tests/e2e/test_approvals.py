"""Runs that wait for people: decided over HTTP and the command line, across restarts (runs-api.md 18: 20 to 23)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.jobs_client import Jobs, assert_sound_log, opened_store, whole_log
from tests.e2e.local_server import LocalServer, eventually

from rune.sandbox.kube.sim import KubeSim
from rune.sandbox.ollama.server import OllamaSim
from rune_common.domain.fold import fold

MAKER, DECIDER, FOREIGN = "a" * 40, "b" * 40, "c" * 40
TOKENS = {
    "RUNE_API_AUTH_DISABLED": "",
    "RUNE_API_TOKENS": f"default:{MAKER},default:{DECIDER},teamb:{FOREIGN}",
}
ASKING = {"mode": "policy"}
Json = dict[str, Any]


@pytest.fixture(scope="module")
def server_environment() -> dict[str, str]:
    return TOKENS


@pytest.fixture(scope="module")
def jobs(server: LocalServer, ollama: OllamaSim) -> Jobs:
    return Jobs(server.url, ollama.url, token=MAKER)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[LocalServer]:
    found = LocalServer(tmp_path, **TOKENS)
    try:
        found.start()
        yield found
    finally:
        found.stop()


def call(server: LocalServer, method: str, path: str, token: str = DECIDER, **options: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.request(
        method, f"{server.url}{path}", headers=headers, timeout=30, trust_env=False, **options
    )


def pending(server: LocalServer, run_id: str) -> list[Json]:
    """The pending approvals of a run, once there are any."""

    def asked() -> list[Json]:
        answer = call(server, "GET", f"/api/v1/runs/{run_id}/approvals?status=pending")
        assert answer.status_code == 200, answer.text
        found: list[Json] = answer.json()["approvals"]
        return found

    return eventually(asked, f"an approval of {run_id}")


def decide(
    server: LocalServer, run_id: str, approval: Json, *, approve: bool, token: str = DECIDER
) -> httpx.Response:
    body = {"approval_id": approval["approval_id"], "subject_digest": approval["subject"]["digest"]}
    given = {"decision": "approve"} if approve else {"decision": "deny", "reason": "not on a Friday"}
    return call(server, "POST", f"/api/v1/runs/{run_id}/approvals", token, json={**body, **given})


def done(server: LocalServer) -> list[str]:
    """What the driver has carried out, in order."""
    path = Path(f"{server.record}.done")
    return path.read_text().split() if path.exists() else []


def events(server: LocalServer, run_id: str) -> list[Json]:
    answer = call(server, "GET", f"/api/v1/runs/{run_id}/events/list?limit=500")
    found: list[Json] = answer.json()["events"]
    return found


def status(server: LocalServer, run_id: str) -> Json:
    found: Json = call(server, "GET", f"/api/v1/runs/{run_id}").json()
    return found


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


@pytest.mark.parametrize("decided", ["after", "before"])
def test_a_pause_survives_the_death_of_the_server(
    own_server: LocalServer, ollama: OllamaSim, decided: str
) -> None:
    jobs = Jobs(own_server.url, ollama.url, token=MAKER)
    job_id = jobs.submit("allow:x1 end", approval=ASKING)
    (approval,) = pending(own_server, job_id)
    if decided == "before":
        worker = eventually(own_server.worker, "a worker")
        assert worker is not None
        worker.suspend()
        assert decide(own_server, job_id, approval, approve=True).status_code == 200
    own_server.kill()
    own_server.stop()
    own_server.all_gone()
    own_server.start()
    if decided == "after":
        assert pending(own_server, job_id) == [approval]
        assert decide(own_server, job_id, approval, approve=True).status_code == 200
    assert jobs.wait(job_id)["result"]["answer"] == "x1:done end"
    assert done(own_server) == ["x1"]
    assert own_server.terminate() == 0
    with opened_store(own_server.data_dir) as (store, _):
        assert store.conversation("default", job_id) is None
        assert_sound_log(whole_log(store, job_id), job_id)


@pytest.mark.agent
@pytest.mark.parametrize("approve", [True, False])
def test_the_real_agent_goes_on_after_a_restart_with_the_decision(
    tmp_path: Path, kubectl: str, approve: bool
) -> None:
    server = LocalServer(tmp_path / "server", RUNE_HOLMES_DRIVER_CMD="", RUNE_KUBECTL=kubectl, **TOKENS)
    with OllamaSim() as ollama, KubeSim("mixed", writable=True) as kube:
        jobs = Jobs(server.url, ollama.url, token=MAKER)
        try:
            server.start()
            job_id = jobs.submit("Fix it. [[approve_mixed]]", approval=ASKING, kubeconfig=kube.kubeconfig())
            (approval,) = pending(server, job_id)
            assert approval["tool"]["params"]["command"].startswith("kubectl delete pod -n shop")
            assert not server.processes("rune_agent")
            assert kube.writes == []
            server.kill()
            server.stop()
            server.start()
            assert pending(server, job_id) == [approval]
            assert decide(server, job_id, approval, approve=approve).status_code == 200
            job = jobs.wait(job_id)
            assert job["status"] == "succeeded", job
            assert job["result"]["answer"]
            deleted = [(write["verb"], write["resource"]) for write in kube.writes]
            assert deleted == ([("delete", "pods")] if approve else [])
            if not approve:
                chats = [each.json() for each in ollama.requests if each.path == "/api/chat"]
                assert "not on a Friday" in json.dumps(chats[-1])
            log = events(server, job_id)
            statuses = [each["payload"]["status"] for each in log if each["type"] == "tool_result"]
            assert statuses == ["success", "success" if approve else "denied"]
        finally:
            server.stop()
