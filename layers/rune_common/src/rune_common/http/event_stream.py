"""Server-sent events on the wire: one frame format, one heartbeat (jobs-api.md 9.1, runs-api.md 4.1)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Header, Query
from starlette.requests import HTTPConnection
from starlette.responses import StreamingResponse
from starlette.types import Send

from rune_common.http.methods import STREAM
from rune_common.http.wired import Wired
from rune_common.usecases.follow_run import Ended, Mark
from rune_common.usecases.log_tails import LogTails, Pace

RETRY = b"retry: 2000\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
_SLOWEST_SECONDS_ON_AWS = 0.5
_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_ESCAPES = str.maketrans(_HTML)

T = TypeVar("T")


class EventStream(StreamingResponse):
    """A stream whose source is closed as soon as its reader is gone; then its connection ends as well."""

    media_type = STREAM

    def __init__(self, frames: AsyncIterator[bytes], status_code: int = 200) -> None:
        super().__init__(frames, status_code, {"X-Accel-Buffering": "no", "Connection": "close"})

    async def stream_response(self, send: Send) -> None:
        async with aclosing(cast(Any, self.body_iterator)):
            await super().stream_response(send)


def frame(sequence: int, event: str, data: str) -> bytes:
    """One event. `data` has no line end in it."""
    return f"id: {sequence}\nevent: {event}\ndata: {data}\n\n".encode()


def end_frame(sequence: int) -> bytes:
    """The run is over. The long pause keeps simple readers from coming back at once."""
    return f"id: {sequence}\nretry: 86400000\nevent: end\ndata: {{}}\n\n".encode()


def web_json(document: Mapping[str, Any]) -> str:
    """JSON on one line that stays text when it is put into a page as HTML or script."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES)


async def frames(
    followed: AsyncIterator[Sequence[T] | Mark | Ended], write: Callable[[T], bytes]
) -> AsyncIterator[bytes]:
    """The frames of what is followed. The first one comes at once, the last tells whether more may follow."""
    async with aclosing(cast(Any, followed)):
        yield RETRY
        async for each in followed:
            if isinstance(each, Ended):
                yield end_frame(each.sequence)
            elif not isinstance(each, Mark):
                yield b"".join(map(write, each))
            elif each is Mark.SILENT:
                yield KEEP_ALIVE


async def last_seen(
    last_event_id_header: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
    last_event_id: Annotated[str | None, Query()] = None,
    after: Annotated[str | None, Query()] = None,
) -> str | None:
    """What the reader saw last: the header, else one of the two parameters."""
    return last_event_id_header or last_event_id or after or None


LastSeen = Annotated[str | None, Depends(last_seen)]


async def log_tails(request: HTTPConnection, services: Wired) -> LogTails:
    """The logs that this application's streams follow."""
    state = request.app.state
    if not hasattr(state, "log_tails"):
        slowest = _SLOWEST_SECONDS_ON_AWS if services.settings.on_aws else Pace().slowest
        state.log_tails = LogTails(Pace(slowest=slowest))
    found: LogTails = state.log_tails
    return found


Tails = Annotated[LogTails, Depends(log_tails)]
