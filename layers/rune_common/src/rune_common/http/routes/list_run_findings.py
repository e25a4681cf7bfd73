from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from rune_common.domain.folded_findings import SEVERITIES, STATES
from rune_common.http.authentication import CanRead
from rune_common.http.run_query import known_words
from rune_common.http.run_replies import RUNS, RUNTIME_RUNS, json_reply
from rune_common.http.schemas.run_status import FindingsView
from rune_common.http.wired import Wired
from rune_common.usecases import read_run as runs

router = APIRouter(tags=["runs"])

FOUND: dict[int | str, dict[str, Any]] = {200: {"model": FindingsView, "description": "The run's findings"}}


@router.get(f"{RUNS}/{{run_id}}/findings", response_class=Response, responses=FOUND)
@router.get(f"{RUNTIME_RUNS}/{{run_id}}/findings", response_class=Response, include_in_schema=False)
def list_run_findings(
    run_id: str,
    caller: CanRead,
    services: Wired,
    state: Annotated[str, Query(description="comma list")] = "",
    severity: Annotated[str, Query(description="comma list")] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """List what a run has found, in order of appearance."""
    page = runs.list_run_findings(
        run_id,
        caller,
        states=known_words("state", state, STATES),
        severities=known_words("severity", severity, SEVERITIES),
        limit=limit,
        runs=services.runs,
    )
    return json_reply(
        {
            "run_id": page.run_id,
            "findings_summary": page.summary,
            "findings": list(page.findings),
            "has_more": page.more,
        }
    )
