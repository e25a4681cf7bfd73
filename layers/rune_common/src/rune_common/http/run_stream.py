"""A run's log as server-sent events: who may read it, and its frames (runs-api.md 4.1)."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Annotated, Any, cast

from fastapi import Depends, Query, Request
from starlette.types import Receive, Scope, Send

from rune_common.domain.access import Principal
from rune_common.domain.events import Event
from rune_common.domain.run_cursors import event_id
from rune_common.domain.stream_tickets import read_ticket
from rune_common.http.audit import note
from rune_common.http.authentication import allowed, authenticated
from rune_common.http.event_stream import KEEP_ALIVE, RETRY, EventStream
from rune_common.http.source_ip import source_ip
from rune_common.http.wired import Wired
from rune_common.usecases.follow_run import Ended, Mark
from rune_common.usecases.open_streams import OpenStreams

WINDOW_CLOSED = b": window-closed\n\n"
_CREDENTIALS = ("authorization", "x-api-key")

logger = logging.getLogger("rune.streams")


async def stream_reader(
    request: Request, run_id: str, services: Wired, ticket: Annotated[str | None, Query()] = None
) -> Principal:
    """Who reads: a token, or a ticket for this run's events. A ticket that does not count is a failed token.

    Raises as `authenticated` does, and InsufficientScope.
    """
    if ticket is not None and not any(name in request.headers for name in _CREDENTIALS):
        found = read_ticket(
            ticket, run_id=run_id, purpose="events", key=services.cursor_key, now_ms=services.clock()
        )
        if found is not None:
            ip = source_ip(request.scope, services.settings.trusted_proxies)
            note(request.scope, "success", ip=ip, tenant=found.tenant)
            return Principal(found.subject, "service", found.tenant, ("runs:read",))
    return allowed(request, await authenticated(request, services), ["runs:read"])


StreamReader = Annotated[Principal, Depends(stream_reader)]


async def open_streams(request: Request, services: Wired) -> OpenStreams:
    """The streams that this application has open."""
    state = request.app.state
    if not hasattr(state, "open_streams"):
        state.open_streams = OpenStreams(services.settings.streams_per_token)
    found: OpenStreams = state.open_streams
    return found


Streams = Annotated[OpenStreams, Depends(open_streams)]


class CountedStream(EventStream):
    """A stream that gives back its reader's place when it is over, however it ends."""

    def __init__(self, frames: AsyncIterator[bytes], release: Callable[[], None]) -> None:
        super().__init__(frames)
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._release()


async def event_frames(
    followed: AsyncIterator[Sequence[Event] | Mark | Ended], *, run_id: str, named: bool, request_id: str
) -> AsyncIterator[bytes]:
    """The stored lines as frames. There is no end marker; a failure is one frame without an id."""
    async with aclosing(cast(Any, followed)):
        yield RETRY
        try:
            async for each in followed:
                if each is Mark.SILENT:
                    yield KEEP_ALIVE
                elif each is Mark.WINDOW_CLOSED:
                    yield WINDOW_CLOSED
                elif not isinstance(each, (Mark, Ended)):
                    yield b"".join(event_frame(run_id, event, named=named) for event in each)
        except Exception:
            logger.exception("a stream broke", extra={"fields": {"request_id": request_id}})
            yield _broken(request_id)


def event_frame(run_id: str, event: Event, *, named: bool) -> bytes:
    head = f"id: {event_id(run_id, event.sequence)}\n"
    if named:
        head += f"event: {event.type}\n"
    return b"".join((head.encode(), b"data: ", event.body, b"\n\n"))


def _broken(request_id: str) -> bytes:
    error = {"code": "RUN_STREAM_INTERNAL", "message": "the stream broke", "request_id": request_id}
    return f"data: {json.dumps({'type': 'error', 'error': error})}\n\n".encode()
