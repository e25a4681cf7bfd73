from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from rune_common.http.authentication import CanRead
from rune_common.http.run_replies import RUNS, RUNTIME_RUNS, json_reply, with_links
from rune_common.http.schemas.run_status import RunStatusView
from rune_common.http.wired import Wired
from rune_common.usecases import read_run as runs

router = APIRouter(tags=["runs"])

FOUND: dict[int | str, dict[str, Any]] = {200: {"model": RunStatusView, "description": "The run's status"}}


@router.get(f"{RUNS}/{{run_id}}", response_class=Response, responses=FOUND)
@router.get(f"{RUNTIME_RUNS}/{{run_id}}", response_class=Response, include_in_schema=False)
@router.get(
    f"{RUNS}/{{run_id}}/status", response_class=Response, responses=FOUND, operation_id="read_run_status"
)
@router.get(f"{RUNTIME_RUNS}/{{run_id}}/status", response_class=Response, include_in_schema=False)
def read_run(run_id: str, caller: CanRead, services: Wired, request: Request) -> Response:
    """Read a run's status: what its log says, and nothing else."""
    status = runs.read_run(run_id, caller, runs=services.runs)
    return json_reply(with_links(status.document(), request))
