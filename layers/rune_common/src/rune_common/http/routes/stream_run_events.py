from __future__ import annotations

import asyncio
import functools
from typing import Annotated, Any, Literal

from fastapi import Depends, Header, Query, Request, Response

from rune_common.http.authentication import TicketRouter
from rune_common.http.event_stream import EventStream, Tails
from rune_common.http.run_query import WantedEvents, accepts_stream
from rune_common.http.run_replies import RUNS, RUNTIME_RUNS
from rune_common.http.run_stream import CountedStream, StreamReader, Streams, event_frames
from rune_common.http.wired import Wired
from rune_common.usecases import stream_run_events as streams
from rune_common.usecases.follow_run import follow_run

router = TicketRouter(tags=["runs"])

ENDED: dict[int | str, dict[str, Any]] = {204: {"description": "The run has ended and its reader knows it"}}


@router.get(
    f"{RUNS}/{{run_id}}/events",
    response_class=EventStream,
    responses=ENDED,
    dependencies=[Depends(accepts_stream)],
)
@router.get(
    f"{RUNTIME_RUNS}/{{run_id}}/events",
    response_class=EventStream,
    include_in_schema=False,
    dependencies=[Depends(accepts_stream)],
)
async def stream_run_events(
    run_id: str,
    caller: StreamReader,
    wanted: WantedEvents,
    services: Wired,
    tails: Tails,
    opened: Streams,
    request: Request,
    last_event_id: Annotated[str | None, Header()] = None,
    after_event_id: Annotated[str | None, Query()] = None,
    after_sequence: Annotated[str | None, Query()] = None,
    tail: Literal["0", "1"] = "0",
    named_events: Literal["0", "1"] = "0",
) -> Response:
    """Follow a run's log to its end, from its start or from where the reader was."""
    asked = streams.StreamStart(last_event_id or None, after_event_id, after_sequence, tail == "1")
    start = await asyncio.to_thread(streams.stream_run_events, run_id, caller, asked, runs=services.runs)
    if start.after is None:
        return Response(status_code=204)
    opened.take(caller)
    followed = follow_run(
        start.run,
        after=start.after,
        show=lambda event: event if wanted.shows(event) else None,
        runs=services.runs,
        tails=tails,
    )
    frames = event_frames(
        followed,
        run_id=start.run.run_id,
        named=named_events == "1",
        request_id=request.state.request_id,
    )
    return CountedStream(frames, functools.partial(opened.release, caller))
