from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from rune_common.http.authentication import CanReport
from rune_common.http.event_stream import Tails
from rune_common.http.routes.submit_job import request_body
from rune_common.http.run_replies import RUNS, RUNTIME_RUNS, Body, Kept, reply
from rune_common.http.schemas.append_events import parse_append
from rune_common.http.schemas.run_status import AppendedView
from rune_common.http.wired import Wired
from rune_common.usecases import append_run_events as runs

router = APIRouter(tags=["runs"])

APPENDED: dict[int | str, dict[str, Any]] = {
    200: {"model": AppendedView, "description": "All of them were there already"},
    201: {"model": AppendedView, "description": "Appended"},
}


@router.post(
    f"{RUNS}/{{run_id}}/events",
    status_code=201,
    response_class=Response,
    responses=APPENDED,
    openapi_extra=request_body("AppendEvents"),
)
@router.post(f"{RUNTIME_RUNS}/{{run_id}}/events", response_class=Response, include_in_schema=False)
def append_run_events(
    run_id: str, caller: CanReport, body: Body, kept: Kept, services: Wired, tails: Tails, request: Request
) -> Response:
    """Append events to a run whose work the client does: all of them or none, each producer key once."""
    drafts, ignored = parse_append(body)
    ports = runs.AppendPorts(
        services.runs, services.blobs, services.clock, services.redactor, services.locks, services.evidence
    )
    answers = kept.of(f"append_run_events:{run_id}", body.sha256, caller)
    answer = runs.append_run_events(run_id, drafts, caller, answers, ports=ports)
    tails.nudge(caller.tenant, run_id)
    return reply(answer, request, ignored=ignored)
