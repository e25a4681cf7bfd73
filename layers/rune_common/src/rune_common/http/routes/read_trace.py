from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from rune_common.domain.job_events import job_event
from rune_common.http.authentication import CanRead
from rune_common.http.event_stream import EventStream, LastSeen, Tails, frames
from rune_common.http.schemas.trace_event import trace_frame
from rune_common.http.wired import Wired
from rune_common.usecases import read_trace as traces
from rune_common.usecases.follow_run import follow_run

router = APIRouter(tags=["runs"])

ENDED: dict[int | str, dict[str, Any]] = {204: {"description": "The run has ended and its reader knows it"}}


@router.get("/v1/runs/{run_id}/trace", response_class=EventStream, responses=ENDED)
@router.get(
    "/api/v1/runs/{run_id}/trace",
    response_class=EventStream,
    responses=ENDED,
    operation_id="read_trace_of_runtime",
)
def read_trace(run_id: str, caller: CanRead, last_seen: LastSeen, services: Wired, tails: Tails) -> Response:
    """Follow what happens in a run, until it ends."""
    start = traces.read_trace(run_id, caller, cursor=last_seen, runs=services.runs)
    if start.after is None:
        return Response(status_code=204)
    followed = follow_run(start.run, after=start.after, show=job_event, runs=services.runs, tails=tails)
    return EventStream(frames(followed, trace_frame))
