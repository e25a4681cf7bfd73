from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from rune_common.http.authentication import CanRead
from rune_common.http.event_stream import Tails
from rune_common.http.run_query import AskedEvents
from rune_common.http.run_replies import RUNS, RUNTIME_RUNS, stored_events_reply
from rune_common.http.schemas.run_status import StoredEventsView
from rune_common.http.wired import Wired
from rune_common.usecases import read_run_events as runs

router = APIRouter(tags=["runs"])

LISTED: dict[int | str, dict[str, Any]] = {
    200: {"model": StoredEventsView, "description": "A part of the log"}
}


@router.get(f"{RUNS}/{{run_id}}/events/list", response_class=Response, responses=LISTED)
@router.get(f"{RUNTIME_RUNS}/{{run_id}}/events/list", response_class=Response, include_in_schema=False)
async def list_run_events(
    run_id: str, caller: CanRead, query: AskedEvents, services: Wired, tails: Tails
) -> Response:
    """Read a run's log page by page: the stored lines, always the same."""
    return stored_events_reply(
        await runs.list_run_events(run_id, caller, query, runs=services.runs, tails=tails)
    )
