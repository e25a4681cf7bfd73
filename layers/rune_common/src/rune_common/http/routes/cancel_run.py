from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from rune_common.http.authentication import CanCancel
from rune_common.http.routes.submit_job import request_body
from rune_common.http.run_replies import RUNS, RUNTIME_RUNS, Body, Kept, reply
from rune_common.http.schemas.run_changes import CancelRun
from rune_common.http.schemas.run_status import ChangedRunView
from rune_common.http.schemas.strict_fields import parsed
from rune_common.http.wired import Wired
from rune_common.usecases import cancel_run as runs

router = APIRouter(tags=["runs"])

STOPPED: dict[int | str, dict[str, Any]] = {
    200: {"model": ChangedRunView, "description": "The run has ended"},
    202: {"model": ChangedRunView, "description": "The run is being cancelled"},
}


@router.post(
    f"{RUNS}/{{run_id}}/cancel",
    response_class=Response,
    responses=STOPPED,
    openapi_extra=request_body("CancelRun"),
)
@router.post(f"{RUNTIME_RUNS}/{{run_id}}/cancel", response_class=Response, include_in_schema=False)
def cancel_run(
    run_id: str, caller: CanCancel, body: Body, kept: Kept, services: Wired, request: Request
) -> Response:
    """Stop a run: at once if nothing works on it, else as soon as its work has been stopped."""
    asked = parsed(CancelRun, body.members)
    answer = runs.cancel_run(
        run_id,
        asked.value.cancellation(),
        caller,
        kept.of(f"cancel_run:{run_id}", body.sha256, caller),
        runs=services.runs,
        clock=services.clock,
        redactor=services.redactor,
        seal=services.evidence,
    )
    return reply(answer, request, ignored=asked.ignored, links=True)
