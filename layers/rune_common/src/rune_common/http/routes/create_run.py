from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from rune_common.http.authentication import CanWrite
from rune_common.http.routes.submit_job import request_body
from rune_common.http.run_creation import AskedRun, creation_ports
from rune_common.http.run_replies import RUNS, RUNTIME_RUNS, Kept, reply
from rune_common.http.schemas.run_status import RunStatusView
from rune_common.http.wired import Wired
from rune_common.usecases import create_run as runs

router = APIRouter(tags=["runs"])

CREATED: dict[int | str, dict[str, Any]] = {201: {"model": RunStatusView, "description": "The run's status"}}


@router.post(
    RUNS,
    status_code=201,
    response_class=Response,
    responses=CREATED,
    openapi_extra=request_body("CreateRun"),
)
@router.post(RUNTIME_RUNS, status_code=201, response_class=Response, include_in_schema=False)
def create_run(caller: CanWrite, asked: AskedRun, kept: Kept, services: Wired, request: Request) -> Response:
    """Create a run: queue its work, or begin the log of a client's own."""
    answers = kept.of("create_run", asked.body_sha256, caller)
    answer = runs.create_run(asked.run, caller, answers, ports=creation_ports(caller.tenant, services))
    return reply(answer, request, ignored=asked.ignored, links=True)
