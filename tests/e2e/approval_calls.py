"""Deciding about what runs of a local server wait for, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from tests.e2e.local_server import LocalServer, eventually

MAKER, DECIDER, FOREIGN = "a" * 40, "b" * 40, "c" * 40
TOKENS = {
    "RUNE_API_AUTH_DISABLED": "",
    "RUNE_API_TOKENS": f"default:{MAKER},default:{DECIDER},teamb:{FOREIGN}",
}
ASKING = {"mode": "policy"}
Json = dict[str, Any]


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
