from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from rune_common.domain.approvals import ApprovalStatus
from rune_common.http.authentication import CanRead
from rune_common.http.run_query import known_words
from rune_common.http.run_replies import RUNS, RUNTIME_RUNS, json_reply
from rune_common.http.schemas.approvals import ApprovalsView
from rune_common.http.wired import Wired
from rune_common.usecases import decide_approvals as runs

router = APIRouter(tags=["approvals"])

FOUND: dict[int | str, dict[str, Any]] = {200: {"model": ApprovalsView, "description": "The run's approvals"}}
STATUSES = tuple(str(each) for each in ApprovalStatus)


@router.get(f"{RUNS}/{{run_id}}/approvals", response_class=Response, responses=FOUND)
@router.get(f"{RUNTIME_RUNS}/{{run_id}}/approvals", response_class=Response, include_in_schema=False)
def list_approvals(
    run_id: str,
    caller: CanRead,
    services: Wired,
    status: Annotated[str, Query(description="comma list")] = "",
) -> Response:
    """List what a run asked people to allow, oldest first."""
    words = known_words("status", status, STATUSES)
    found = runs.list_approvals(
        run_id, caller, runs=services.runs, statuses=[ApprovalStatus(word) for word in words]
    )
    return json_reply({"run_id": run_id, "approvals": [each.document() for each in found]})
