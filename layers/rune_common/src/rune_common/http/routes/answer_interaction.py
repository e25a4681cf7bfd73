from __future__ import annotations

from fastapi import APIRouter

from rune_common.http.authentication import CanDecide
from rune_common.http.schemas.interaction import AnswerGiven, InteractionAccepted
from rune_common.http.wired import Wired
from rune_common.usecases import interact as runs

router = APIRouter(tags=["runs"])

ANSWER = {"schema": {"$ref": "#/components/schemas/AnswerInteraction"}}


@router.post(
    "/v1/runs/{run_id}/interaction",
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": ANSWER}}},
)
def answer_interaction(
    run_id: str, caller: CanDecide, answer: AnswerGiven, services: Wired
) -> InteractionAccepted:
    """Approve or deny what a run waits for."""
    decision, approval_id = answer
    runs.answer_interaction(
        run_id, decision, approval_id, caller, runs=services.runs, approvals=services.interactions
    )
    return InteractionAccepted()
