from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from rune_common.http.authentication import CanRead
from rune_common.http.event_stream import EventStream, LastSeen, Tails, frame, frames
from rune_common.http.wired import Wired
from rune_common.usecases import browser_stream as browsers
from rune_common.usecases.follow_run import follow_run

router = APIRouter(tags=["runs"])

ENDED: dict[int | str, dict[str, Any]] = {204: {"description": "The run has ended and its reader knows it"}}


@router.get("/v1/runs/{run_id}/browser-stream", response_class=EventStream, responses=ENDED)
@router.get(
    "/api/v1/runs/{run_id}/browser-stream",
    response_class=EventStream,
    responses=ENDED,
    operation_id="read_browser_stream_of_runtime",
)
def read_browser_stream(
    run_id: str, caller: CanRead, last_seen: LastSeen, services: Wired, tails: Tails
) -> Response:
    """Follow the screenshots of a run whose driver makes some."""
    start = browsers.read_browser_stream(run_id, caller, cursor=last_seen, runs=services.runs)
    if start.after is None:
        return Response(status_code=204)
    followed = follow_run(
        start.run, after=start.after, show=browsers.screenshot, runs=services.runs, tails=tails
    )
    shots = browsers.with_images(followed, start.run, blobs=services.blobs)
    return EventStream(frames(shots, lambda shot: frame(shot.sequence, "screenshot", shot.source)))
