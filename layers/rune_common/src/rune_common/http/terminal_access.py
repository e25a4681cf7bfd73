"""Who may open a terminal (runs-api.md 1.3, 5.1): a token in a header or in the first message, or a ticket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.websockets import WebSocket

from rune_common.domain import errors, run_errors
from rune_common.domain.access import Principal
from rune_common.domain.errors import RunNotFound
from rune_common.domain.stream_tickets import read_ticket
from rune_common.domain.terminal_inputs import (
    BAD_CURSOR,
    BROKEN,
    GOING_AWAY,
    NO_SUCH_RUN,
    NOT_ALLOWED,
    NOT_AUTHENTICATED,
    TOO_MANY,
    Refused,
)
from rune_common.http.authentication import access_limits, presented_token
from rune_common.http.dialects.runs import error_document
from rune_common.http.source_ip import source_ip
from rune_common.usecases.authenticate import Credentials, authenticate
from rune_common.wiring import Services

SCOPE = "runs:read"
_CLOSE_CODES: Mapping[type[Exception], int] = {
    errors.InvalidCursor: BAD_CURSOR,
    errors.Unauthorized: NOT_AUTHENTICATED,
    errors.Forbidden: NOT_ALLOWED,
    errors.RunNotFound: NO_SUCH_RUN,
    errors.RateLimited: TOO_MANY,
    run_errors.TooManyStreams: TOO_MANY,
    errors.Unavailable: GOING_AWAY,
}


def refused(error: Exception) -> Refused:
    """How a connection ends by an error; a bug says nothing of itself."""
    code = next((_CLOSE_CODES[each] for each in type(error).__mro__ if each in _CLOSE_CODES), None)
    if code is None:
        return BROKEN
    told = error_document(error)
    return Refused(code, told["code"], told["message"])


def same_site(websocket: WebSocket, services: Services) -> bool:
    """Whether the page that connects, if it is one, may: a browser sends no preflight for a WebSocket."""
    origin = websocket.headers.get("origin")
    if origin is None or origin in services.settings.allowed_origins:
        return True
    return urlsplit(origin).netloc.lower() == websocket.headers.get("host", "").lower()


async def known_caller(websocket: WebSocket, run_id: str, services: Services) -> Principal | None:
    """Who connects, as the handshake tells; None when the first message has to tell.

    Raises Unauthorized, LockedOut, RateLimited, InsufficientScope, RunNotFound.
    """
    token = presented_token(websocket)
    if token is None and not access_limits(services.settings).open_to_all:
        ticket = websocket.query_params.get("ticket")
        if ticket is None:
            return None
        key, now = services.cursor_key, services.clock()
        found = read_ticket(ticket, run_id=run_id, purpose="terminal", key=key, now_ms=now)
        if found is not None:
            return Principal(found.subject, "service", found.tenant, (SCOPE,))
    return await caller_of(websocket, token, run_id, services)


async def caller_of(websocket: WebSocket, token: str | None, run_id: str, services: Services) -> Principal:
    """Raises Unauthorized, LockedOut, RateLimited, InsufficientScope, RunNotFound."""
    presented = Credentials(
        ip=source_ip(websocket.scope, services.settings.trusted_proxies),
        token=token,
        tenant=websocket.headers.get("x-tenant-id"),
    )
    principal = await asyncio.to_thread(
        authenticate,
        presented,
        limits=access_limits(services.settings),
        tokens=services.tokens,
        failures=services.failures,
        limiter=services.limiter,
        clock=services.clock,
    )
    principal.require(SCOPE)
    if principal.bound_run not in (None, run_id):
        raise RunNotFound(run_id)
    return principal
