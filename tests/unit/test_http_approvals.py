"""Approvals over HTTP: who may see and decide them, under both prefixes (runs-api.md 6.5, jobs-api.md 9.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.conftest import TOKEN
from tests.unit.pausing_agent import DELETE, PausingDriver, Story, call

from rune_common.adapters.memory import MemoryTokenStore
from rune_common.adapters.seeded_tokens import SeededTokenStore
from rune_common.domain.access import TokenRecord, seed_subject, token_hash

B = "second-persons-token-of-32-characters"
SERVICE = "a-services-token-of-at-least-32-chars"
READER = "a-readers-token-of-at-least-32-chars!"
PREFIXES = ("/api/v1/runs", "/api/v1/runtime/runs")


class Desk:
    """A paused run of tenant `default`, made by `TOKEN`'s person, and the server that shows it."""

    def __init__(self, build_services, clock, *, settings=None, pauses=None, **policy):
        self.story = Story(
            driver=PausingDriver(pauses or [[call(1)]]),
            tenant="default",
            created_by=seed_subject(token_hash(TOKEN)),
            clock=clock,
            **policy,
        )
        self.story.ask()
        records = MemoryTokenStore()
        for token, subject, kind, scopes in (
            (SERVICE, "robot", "service", ("*",)),
            (READER, "reader", "human", ("runs:read",)),
        ):
            records.add(TokenRecord(token_hash(token), subject, kind, ("default",), scopes))
        services = build_services(
            {"runs": self.story.store}, api_tokens=f"default:{TOKEN},default:{B}", **(settings or {})
        )
        self.services = replace(services, tokens=SeededTokenStore.of(services.settings, records))


@pytest.fixture
def desk(build_services, clock):
    return lambda **fields: Desk(build_services, clock, **fields)


@pytest.fixture
def http(open_client):
    return lambda found, token=B: open_client(found.services, token=token)


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_pending_approval_is_listed_decided_and_repeated(desk, http, prefix):
    found = desk()
    async with http(found) as client:
        listed = (await client.get(f"{prefix}/r/approvals?status=pending")).json()
        assert listed["run_id"] == "r"
        (shown,) = listed["approvals"]
        assert (shown["tool"]["params"], shown["status"]) == ({"command": DELETE}, "pending")
        named = {"approval_id": shown["approval_id"], "decision": "approve"}
        wrong = await client.post(f"{prefix}/r/approvals", json={**named, "subject_digest": "0" * 64})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (409, "SUBJECT_CHANGED")
        assert wrong.json()["error"]["details"] == {"superseded_by": None}
        right = {**named, "subject_digest": shown["subject"]["digest"]}
        answer = await client.post(f"{prefix}/r/approvals", json=right)
        assert answer.status_code == 200
        body = answer.json()
        assert (body["approval"]["status"], body["run"]["status"]) == ("approved", "running")
        assert body["run"]["links"]["approvals"] == "/api/v1/runs/r/approvals"
        assert (await client.post(f"{prefix}/r/approvals", json=right)).json()["approval"] == body["approval"]
        late = await client.post(
            f"{prefix}/r/approvals", json={**named, "decision": "deny", "reason": "changed my mind"}
        )
        assert (late.status_code, late.json()["error"]["code"]) == (409, "APPROVAL_ALREADY_DECIDED")
        assert (await client.get(f"{prefix}/r/approvals?status=pending")).json()["approvals"] == []
        assert (await client.get(f"{prefix}/r/approvals")).json()["approvals"] == [body["approval"]]


async def test_the_creator_services_and_readers_do_not_approve(desk, http):
    found = desk()
    asked = {"approval_id": "r-a1", "decision": "approve"}
    for token, code in (
        (TOKEN, "SELF_APPROVAL_FORBIDDEN"),
        (SERVICE, "APPROVER_NOT_PERMITTED"),
        (READER, "INSUFFICIENT_SCOPE"),
    ):
        async with http(found, token) as client:
            answer = await client.post("/api/v1/runs/r/approvals", json=asked)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, code)
    async with http(found, TOKEN) as client:
        denied = await client.post("/api/v1/runs/r/approvals", json={"decision": "deny", "reason": "no"})
        assert denied.json()["approval"]["status"] == "denied"


async def test_the_operator_may_allow_self_approval(desk, http):
    async with http(desk(settings={"allow_self_approval": True}), TOKEN) as client:
        answer = await client.post(
            "/api/v1/runs/r/approvals", json={"approval_id": "r-a1", "decision": "approve"}
        )
        assert answer.status_code == 200


async def test_only_listed_approvers_decide(desk, http):
    async with http(desk(approvers=["x"])) as client:
        answer = await client.post("/api/v1/runs/r/approvals", json={"decision": "deny", "reason": "no"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "APPROVER_NOT_PERMITTED")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "decision"),
        ({"decision": "approve"}, "approval_id"),
        ({"decision": "deny", "approval_id": "r-a1"}, "reason"),
        ({"decision": "deny", "reason": ""}, "reason"),
        ({"decision": "approve", "subject_digest": "A" * 64}, "subject_digest"),
        ({"decision": "approve", "approval_id": "r-a1", "scope": "all"}, "scope"),
        ({"decisions": []}, "decisions"),
        (
            {"decisions": [{"decision": "approve", "approval_id": "r-a1"}, {"decision": "deny"}]},
            "decisions.1.reason",
        ),
    ],
)
async def test_a_decision_that_is_none_is_refused(desk, http, body, path):
    async with http(desk()) as client:
        answer = await client.post("/api/v1/runs/r/approvals", json=body)
        assert answer.status_code == 400
        assert [each["path"] for each in answer.json()["error"]["details"]["fields"]] == [path]


async def test_unknown_ambiguous_and_expired_approvals_have_their_codes(desk, http, clock):
    found = desk(pauses=[[call(1), call(2)]], timeout_seconds=60)
    async with http(found) as client:
        for body, status, code in (
            ({"decision": "deny", "reason": "no"}, 409, "APPROVAL_AMBIGUOUS"),
            ({"decision": "approve", "approval_id": "r-a9"}, 404, "APPROVAL_NOT_FOUND"),
            ({"decision": "approve", "subject_digest": "0" * 64}, 404, "APPROVAL_NOT_FOUND"),
        ):
            answer = await client.post("/api/v1/runs/r/approvals", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        clock.advance(60)
        late = await client.post(
            "/api/v1/runs/r/approvals", json={"approval_id": "r-a1", "decision": "approve"}
        )
        assert (late.status_code, late.json()["error"]["code"]) == (410, "APPROVAL_EXPIRED")
        for path in ("/api/v1/runs/none/approvals", "/api/v1/runtime/runs/none/approvals"):
            assert (await client.get(path)).json()["error"]["code"] == "RUN_NOT_FOUND"


async def test_several_decisions_hold_each_for_itself_and_are_answered_alike_again(desk, http):
    found = desk(pauses=[[call(1), call(2)]])
    decisions = [
        {"approval_id": "r-a1", "decision": "approve"},
        {"approval_id": "r-a7", "decision": "approve"},
        {"approval_id": "r-a2", "decision": "deny", "reason": "no", "more": 1},
    ]
    async with http(found) as client:
        headers = {"Idempotency-Key": "k"}
        answer = await client.post("/api/v1/runs/r/approvals", json={"decisions": decisions}, headers=headers)
        body = answer.json()
        assert [each["ok"] for each in body["results"]] == [True, False, True]
        assert body["results"][1]["error"]["code"] == "APPROVAL_NOT_FOUND"
        assert body["run"]["status"] == "running"
        assert answer.headers["rune-ignored-fields"] == "decisions.2.more"
        again = await client.post("/api/v1/runs/r/approvals", json={"decisions": decisions}, headers=headers)
        assert again.json() == body
        assert again.headers["idempotency-replayed"] == "true"
    found.story.ask()
    assert found.story.driver.done == [DELETE]


async def test_interaction_shows_and_decides_what_a_run_waits_for(desk, http, clock):
    found = desk()
    async with http(found) as client:
        shown = (await client.get("/v1/runs/r/interaction")).json()
        assert shown == {
            "prompt": f"bash: {DELETE}",
            "approval_id": "r-a1",
            "kind": "approval",
            "options": ["approve", "deny"],
            "expires_at": (clock.now + 86_400_000) / 1000,
        }
        unknown = await client.post("/v1/runs/r/interaction", json={"response": "y", "approval_id": "r-a4"})
        assert (unknown.status_code, unknown.json()["code"]) == (404, "approval_not_found")
        assert (await client.post("/v1/runs/r/interaction", json={"response": "No"})).status_code == 200
        assert found.story.approvals[0].reason == "denied by interaction"
        assert (await client.get("/v1/runs/r/interaction")).json() == {}
        done = await client.post("/v1/runs/r/interaction", json={"response": "yes"})
        assert (done.status_code, done.json()["code"]) == (409, "no_pending_interaction")
        named = await client.post("/v1/runs/r/interaction", json={"response": "yes", "approval_id": "r-a1"})
        assert (named.status_code, named.json()["code"]) == (409, "approval_already_decided")
    async with http(desk(), TOKEN) as client:
        own = await client.post("/v1/runs/r/interaction", json={"response": "yes"})
        assert (own.status_code, own.json()["code"]) == (403, "self_approval_forbidden")


async def test_a_waiting_job_shows_as_running(desk, http):
    async with http(desk()) as client:
        job = (await client.get("/v1/jobs/r")).json()
        assert (job["status"], job["message"]) == ("running", "waiting for approval")
