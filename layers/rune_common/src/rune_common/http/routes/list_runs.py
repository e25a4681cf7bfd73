from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from rune_common.http.authentication import CanRead
from rune_common.http.run_query import AskedRuns
from rune_common.http.run_replies import RUNS, RUNTIME_RUNS, json_reply, with_links
from rune_common.http.schemas.run_status import RunListView
from rune_common.http.wired import Wired
from rune_common.usecases import list_runs as runs

router = APIRouter(tags=["runs"])

LISTED: dict[int | str, dict[str, Any]] = {200: {"model": RunListView, "description": "A page of runs"}}


@router.get(RUNS, response_class=Response, responses=LISTED)
@router.get(RUNTIME_RUNS, response_class=Response, include_in_schema=False)
def list_runs(caller: CanRead, query: AskedRuns, services: Wired, request: Request) -> Response:
    """List the tenant's runs, newest first."""
    page = runs.list_runs(query, caller, runs=services.runs, cursor_key=services.cursor_key)
    return json_reply(
        {
            "runs": [with_links(status.document(), request) for status in page.statuses],
            "next_cursor": page.next_cursor,
            "has_more": page.next_cursor is not None,
        }
    )
