from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from rune_common.http.authentication import CanReport
from rune_common.http.routes.submit_job import request_body
from rune_common.http.run_replies import RUNS, RUNTIME_RUNS, Body, Kept, reply
from rune_common.http.schemas.run_changes import CompleteRun
from rune_common.http.schemas.run_status import ChangedRunView
from rune_common.http.schemas.strict_fields import parsed
from rune_common.http.wired import Wired
from rune_common.usecases import complete_run as runs

router = APIRouter(tags=["runs"])

ENDED: dict[int | str, dict[str, Any]] = {200: {"model": ChangedRunView, "description": "The run has ended"}}


@router.post(
    f"{RUNS}/{{run_id}}/complete",
    response_class=Response,
    responses=ENDED,
    openapi_extra=request_body("CompleteRun"),
)
@router.post(f"{RUNTIME_RUNS}/{{run_id}}/complete", response_class=Response, include_in_schema=False)
def complete_run(
    run_id: str, caller: CanReport, body: Body, kept: Kept, services: Wired, request: Request
) -> Response:
    """Close a run whose work the client did."""
    told = parsed(CompleteRun, body.members)
    answer = runs.complete_run(
        run_id,
        told.value.completion(),
        caller,
        kept.of(f"complete_run:{run_id}", body.sha256, caller),
        runs=services.runs,
        clock=services.clock,
        redactor=services.redactor,
        seal=services.evidence,
    )
    return reply(answer, request, ignored=told.ignored, links=True)
