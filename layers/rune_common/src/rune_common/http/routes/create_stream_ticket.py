from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from rune_common.http.authentication import CanRead
from rune_common.http.routes.submit_job import request_body
from rune_common.http.run_replies import RUNS, RUNTIME_RUNS, Body, Kept, reply
from rune_common.http.schemas.run_changes import CreateStreamTicket
from rune_common.http.schemas.run_status import StreamTicketView
from rune_common.http.schemas.strict_fields import parsed
from rune_common.http.wired import Wired
from rune_common.usecases import create_stream_ticket as tickets

router = APIRouter(tags=["runs"])

SIGNED: dict[int | str, dict[str, Any]] = {201: {"model": StreamTicketView, "description": "The ticket"}}


@router.post(
    f"{RUNS}/{{run_id}}/stream-tickets",
    status_code=201,
    response_class=Response,
    responses=SIGNED,
    openapi_extra=request_body("CreateStreamTicket"),
)
@router.post(f"{RUNTIME_RUNS}/{{run_id}}/stream-tickets", response_class=Response, include_in_schema=False)
def create_stream_ticket(
    run_id: str, caller: CanRead, body: Body, kept: Kept, services: Wired, request: Request
) -> Response:
    """Get a ticket with which a browser, which cannot send a token, reads one stream of a run."""
    asked = parsed(CreateStreamTicket, body.members)
    answer = tickets.create_stream_ticket(
        run_id,
        asked.value.purpose,
        caller,
        kept.of(f"create_stream_ticket:{run_id}", body.sha256, caller),
        runs=services.runs,
        clock=services.clock,
        key=services.cursor_key,
    )
    return reply(answer, request, ignored=asked.ignored)
