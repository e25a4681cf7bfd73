from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from rune_common.http.authentication import CanDecide
from rune_common.http.dialects.runs import error_document
from rune_common.http.routes.submit_job import request_body
from rune_common.http.run_replies import RUNS, RUNTIME_RUNS, Body, Kept, reply, with_links
from rune_common.http.schemas.approvals import DecidedView, DecisionResultsView, parse_decisions
from rune_common.http.wired import Wired
from rune_common.usecases import decide_approvals as runs
from rune_common.usecases.keyed_answers import Answer

router = APIRouter(tags=["approvals"])

DECIDED: dict[int | str, dict[str, Any]] = {
    200: {
        "model": DecidedView | DecisionResultsView,
        "description": "What the approval, or each of them, is now",
    }
}


@router.post(
    f"{RUNS}/{{run_id}}/approvals",
    response_class=Response,
    responses=DECIDED,
    openapi_extra=request_body("DecideApproval"),
)
@router.post(f"{RUNTIME_RUNS}/{{run_id}}/approvals", response_class=Response, include_in_schema=False)
def decide_approvals(
    run_id: str, caller: CanDecide, body: Body, kept: Kept, services: Wired, request: Request
) -> Response:
    """Approve or deny what a run waits for: one decision, or `{decisions: [...]}`."""
    asked, several, ignored = parse_decisions(body.members)
    answers = kept.of(f"decide_approvals:{run_id}", body.sha256, caller)
    if several:
        answer = runs.decide_approvals(
            run_id, asked, caller, answers, error_document, ports=services.decision_ports
        )
    else:
        answer = runs.decide_approval(run_id, asked[0], caller, answers, ports=services.decision_ports)
    linked = {**answer.body, "run": with_links(answer.body["run"], request)}
    return reply(Answer(answer.status, linked, answer.replayed), request, ignored=ignored)
