from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from rune_common.domain.run_errors import UpgradeRequired
from rune_common.http.authentication import CanRead
from rune_common.http.run_replies import RUNS, RUNTIME_RUNS

router = APIRouter(tags=["runs"])

UPGRADE: dict[int | str, dict[str, Any]] = {426: {"description": "The path answers WebSockets only"}}


@router.get(f"{RUNS}/{{run_id}}/terminal", status_code=426, response_class=Response, responses=UPGRADE)
@router.get(f"{RUNTIME_RUNS}/{{run_id}}/terminal", response_class=Response, include_in_schema=False)
async def open_terminal(run_id: str, caller: CanRead) -> Response:
    """Follow a run's output by WebSocket, subprotocol `runtime.terminal.v1`."""
    raise UpgradeRequired
