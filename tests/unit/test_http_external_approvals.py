"""External runs that wait for people: their clients ask, and read the decision (runs-api.md 2.7, 6, 18: 20 and 21)."""

from __future__ import annotations

import pytest
from tests.unit.agent_runs import Answers, Executions
from tests.unit.conftest import TOKEN
from tests.unit.runs_over_http import EXTERNAL, PREFIXES, draft, log

from rune_common.domain.approvals import subject_digest
from rune_common.domain.fold import fold
from rune_common.usecases.expire_waits import expire_waits

B = "second-persons-token-of-32-characters"
SUBJECT = {"gate": "edit", "run_id": "r", "iteration": 1, "files": ["a.py"]}
DIGEST = subject_digest(SUBJECT)


@pytest.fixture(params=PREFIXES)
def prefix(request):
    return request.param


@pytest.fixture
def services(build_services):
    return build_services(api_tokens=f"default:{TOKEN},default:{B}")


@pytest.fixture
async def decider(services, open_client):
    async with open_client(services, token=B) as opened:
        yield opened


@pytest.fixture
async def run_id(client):
    return (await client.post("/api/v1/runs", json=EXTERNAL)).json()["run_id"]


def asking(key="k", **members):
    payload = {
        "gate": "edit",
        "summary": "change a.py",
        "subject_digest": DIGEST,
        "subject": SUBJECT,
        **members,
    }
    return draft(key, "approval_requested") | {"payload": payload}


async def status(client, run_id):
    found = (await client.get(f"/api/v1/runs/{run_id}")).json()
    stored = await log(client, run_id)
    assert fold(stored).document() == {name: value for name, value in found.items() if name != "links"}
    return found


def sweep(services):
    expire_waits(
        runs=services.runs,
        executions=Executions(),
        callbacks=Answers(),
        clock=services.clock,
        redactor=services.redactor,
        owner="o",
        max_running=9,
    )


async def test_a_client_asks_waits_and_goes_on_with_the_decision(client, decider, prefix, run_id):
    answer = await client.post(f"{prefix}/{run_id}/events", json=asking())
    assert answer.status_code == 201
    approval_id = answer.json()["events"][0]["approval_id"]
    again = await client.post(f"{prefix}/{run_id}/events", json=asking())
    assert (again.status_code, again.json()["events"][0]["approval_id"]) == (200, approval_id)
    waiting = await status(client, run_id)
    assert waiting["status"] == "awaiting_approval"
    (shown,) = (await client.get(f"{prefix}/{run_id}/approvals")).json()["approvals"]
    assert waiting["pending_approvals"] == [shown]
    assert (shown["subject"]["digest"], shown["subject"]["document"]) == (DIGEST, SUBJECT)
    more = await client.post(f"{prefix}/{run_id}/events", json=draft("more"))
    assert more.status_code == 201
    named = {"approval_id": approval_id, "decision": "approve"}
    own = await client.post(f"{prefix}/{run_id}/approvals", json=named)
    assert (own.status_code, own.json()["error"]["code"]) == (403, "SELF_APPROVAL_FORBIDDEN")
    wrong = await decider.post(f"{prefix}/{run_id}/approvals", json={**named, "subject_digest": "0" * 64})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (409, "SUBJECT_CHANGED")
    right = {**named, "subject_digest": DIGEST}
    decided = await decider.post(f"{prefix}/{run_id}/approvals", json=right)
    assert (decided.status_code, decided.json()["run"]["status"]) == (200, "running")
    assert (await decider.post(f"{prefix}/{run_id}/approvals", json=right)).status_code == 200
    late = {"approval_id": approval_id, "decision": "deny", "reason": "no"}
    refused = await decider.post(f"{prefix}/{run_id}/approvals", json=late)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "APPROVAL_ALREADY_DECIDED")
    assert (await status(client, run_id))["status"] == "running"


async def test_an_unanswered_question_expires_and_the_client_goes_on(client, decider, services, run_id):
    await client.post(f"/api/v1/runs/{run_id}/events", json=asking(timeout_seconds=5))
    services.clock.advance(5)
    body = {"decision": "approve", "subject_digest": DIGEST}
    late = await decider.post(f"/api/v1/runs/{run_id}/approvals", json=body)
    assert (late.status_code, late.json()["error"]["code"]) == (410, "APPROVAL_EXPIRED")
    sweep(services)
    assert (await status(client, run_id))["status"] == "running"
    assert [each["type"] for each in await log(client, run_id)][-2:] == ["approval_expired", "run_resumed"]
    late = await decider.post(f"/api/v1/runs/{run_id}/approvals", json=body)
    assert (late.status_code, late.json()["error"]["code"]) == (410, "APPROVAL_EXPIRED")


@pytest.mark.parametrize("how", ["graceful", "force"])
async def test_a_cancel_while_pending_cancels_the_question(client, services, run_id, how):
    await client.post(f"/api/v1/runs/{run_id}/events", json=asking())
    answer = await client.post(f"/api/v1/runs/{run_id}/cancel", json={"mode": how, "grace_seconds": 30})
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelling")
    kinds = [each["type"] for each in await log(client, run_id)]
    assert kinds[-2:] == ["cancel_requested", "approval_cancelled"]
    services.clock.advance(0 if how == "force" else 30)
    sweep(services)
    assert (await status(client, run_id))["status"] == "cancelled"


async def test_completing_cancels_what_is_pending_first(client, run_id):
    await client.post(f"/api/v1/runs/{run_id}/events", json=asking())
    done = await client.post(f"/api/v1/runs/{run_id}/complete", json={"stop_class": "clean"})
    assert (done.status_code, done.json()["status"]) == (200, "completed")
    kinds = [each["type"] for each in await log(client, run_id)]
    assert kinds[-3:] == ["approval_cancelled", "run_resumed", "run_completed"]
    assert (await status(client, run_id))["pending_approvals"] == []


async def test_what_was_denied_is_refused_when_it_is_asked_again(client, decider, run_id):
    await client.post(f"/api/v1/runs/{run_id}/events", json=asking())
    body = {"decision": "deny", "reason": "never"}
    assert (await decider.post(f"/api/v1/runs/{run_id}/approvals", json=body)).status_code == 200
    answer = await client.post(f"/api/v1/runs/{run_id}/events", json=asking("again"))
    assert answer.status_code == 201
    assert (await status(client, run_id))["status"] == "running"
    approvals = (await client.get(f"/api/v1/runs/{run_id}/approvals")).json()["approvals"]
    assert [each["status"] for each in approvals] == ["denied", "denied"]
    assert approvals[1]["decisions"][0]["inherited_from"] == approvals[0]["approval_id"]


async def test_no_more_than_thirty_questions_are_pending(client, run_id):
    for turn in range(3):
        batch = [asking(f"{turn}.{n}", subject_digest=f"{turn}{n}".ljust(64, "a")) for n in range(10)]
        assert (await client.post(f"/api/v1/runs/{run_id}/events", json={"events": batch})).status_code == 201
    answer = await client.post(f"/api/v1/runs/{run_id}/events", json=asking("one more"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "TOO_MANY_PENDING_APPROVALS")
    assert len((await status(client, run_id))["pending_approvals"]) == 30
    stopped = await client.post(f"/api/v1/runs/{run_id}/complete", json={"stop_class": "clean"})
    assert stopped.status_code == 200


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"gate": "magic"}, "payload.gate"),
        ({"summary": ""}, "payload.summary"),
        ({"subject_digest": "x"}, "payload.subject_digest"),
        ({"subject": "text"}, "payload.subject"),
        ({"risk": "extreme"}, "payload.risk"),
        ({"timeout_seconds": 4}, "payload.timeout_seconds"),
        ({"timeout_seconds": True}, "payload.timeout_seconds"),
    ],
)
async def test_a_question_that_is_none_is_refused(client, run_id, members, path):
    answer = await client.post(f"/api/v1/runs/{run_id}/events", json=asking(**members))
    assert answer.status_code == 400
    assert path in [each["path"] for each in answer.json()["error"]["details"]["fields"]]
    many = [asking(f"{n}") for n in range(11)]
    assert (await client.post(f"/api/v1/runs/{run_id}/events", json={"events": many})).status_code == 400
