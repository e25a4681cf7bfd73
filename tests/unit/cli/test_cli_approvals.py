"""`rune approvals`: shows what is asked, and binds the decision to it by id and digest (jobs-api.md 15)."""

from __future__ import annotations

import httpx
import pytest

from .conftest import JOB

PLACE = f"/api/v1/runs/{JOB}/approvals"


def approval(number: int = 1, status: str = "pending", **fields):
    found = {
        "approval_id": f"{JOB}-a{number}",
        "status": status,
        "gate": "tool_call",
        "requested_by": "agent:holmes",
        "summary": "bash: kubectl delete pod \x1b[31mcart",
        "why": "it hangs",
        "risk": "high",
        "expires_at": "2026-01-01T00:00:00.000Z",
        "subject": {"digest": f"{number}" * 64, "redacted": True, "document": {"params": {"command": "x"}}},
    }
    return found | fields


@pytest.fixture
def server(world, monkeypatch):
    """Approvals of one run beside the scripted server."""
    found, plain_answer = [approval()], world.server.answer

    def answer(request):
        if request.url.path != PLACE:
            return plain_answer(request)
        world.server.requests.append(request)
        if request.method == "GET":
            return httpx.Response(200, json={"run_id": JOB, "approvals": found})
        return httpx.Response(
            200, json={"approval": {**found[0], "status": "approved"}, "run": {"status": "running"}}
        )

    monkeypatch.setattr(world.server, "answer", answer)
    return found


def test_without_a_server_approvals_are_a_usage_error(world):
    ran = world.run("approvals", "list", JOB)
    assert ran.code == 2
    assert "--backend http" in ran.err


def test_the_list_shows_subject_and_digest_and_cannot_steer_the_terminal(world, server):
    ran = world.http("approvals", "list", JOB, "--status", "pending")
    assert ran.code == 0
    for text in (f"{JOB}-a1", "1" * 64, '{"params": {"command": "x"}} (redacted)', "kubectl delete pod"):
        assert text in ran.out
    assert "\x1b" not in ran.out
    assert dict(world.server.requests[0].url.params) == {"status": "pending"}


def test_an_approval_is_shown_and_sent_with_both_ids(world, server):
    ran = world.http("approvals", "approve", JOB, "--scope", "run")
    assert ran.code == 0
    assert ran.out.index("1" * 64) < ran.out.index("approved; the run is running")
    assert world.server.body() == {
        "approval_id": f"{JOB}-a1",
        "subject_digest": "1" * 64,
        "decision": "approve",
        "scope": "run",
    }
    assert world.server.of("POST")[0].headers["Idempotency-Key"]


def test_a_denial_has_a_reason(world, server):
    assert world.http("approvals", "deny", JOB, f"{JOB}-a1", "--reason", "not today", "--json").json["ok"]
    assert world.server.body()["reason"] == "not today"
    assert world.http("approvals", "deny", JOB).code == 0
    assert world.server.body()["reason"]


@pytest.mark.parametrize(
    ("found", "arguments", "code"),
    [
        ([approval(1), approval(2)], (), "approval_ambiguous"),
        ([approval(1, "denied")], (), "no_pending_approval"),
        ([approval(1)], (f"{JOB}-a7",), "approval_not_found"),
    ],
)
def test_a_decision_about_nothing_or_several_is_not_sent(world, server, found, arguments, code):
    server[:] = found
    ran = world.http("approvals", "approve", JOB, *arguments, "--json")
    assert (ran.code, ran.json["code"]) == (1, code)
    assert world.server.of("POST") == []
