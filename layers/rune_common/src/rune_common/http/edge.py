"""The outermost layer of every request: ids, headers, HEAD, OPTIONS, the last resort (jobs-api.md 1.1)."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Sequence
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rune_common.domain.errors import MethodNotAllowed
from rune_common.http import audit
from rune_common.http.dialects import error_answer
from rune_common.http.dialects.jobs import ErrorAnswer
from rune_common.http.methods import MethodTable

logger = logging.getLogger("rune.http")

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_REQUEST_HEADERS = b"Authorization, Content-Type, Idempotency-Key, If-Match, Last-Event-ID, X-API-Key, " \
    b"X-Idempotency-Key, X-Request-Id, X-Tenant-ID"  # fmt: skip
_EXPOSED_HEADERS = b"ETag, Idempotency-Replayed, Location, Retry-After, Rune-Ignored-Fields, X-Request-Id"


class Edge:
    """ASGI middleware. `origins`: exact CORS origins, none by default."""

    def __init__(self, app: ASGIApp, methods: MethodTable, origins: Sequence[str] = ()) -> None:
        self._app = app
        self._methods = methods
        self._origins = frozenset(origin.encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._app(_named(scope), receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send, self._cors(scope))
        try:
            await self._serve(exchange.scope, receive, exchange.send)
        except ClientDisconnect:
            logger.info("the client went away", extra={"fields": {"request_id": exchange.request_id}})
        except Exception as exc:
            await exchange.fail(exc, receive)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "OPTIONS" and (allow := self._methods.of(scope["path"])):
            preflight = {"Allow": ", ".join(allow), "Access-Control-Allow-Methods": ", ".join(allow)}
            await Response(status_code=204, headers=preflight)(scope, receive, send)
            return
        if scope["method"] == "HEAD" and "HEAD" in self._methods.of(scope["path"]):
            scope["method"] = "GET"
            send = _without_body(send)
        await self._app(scope, receive, send)

    def _cors(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        if not self._origins:
            return []
        headers = [(b"vary", b"Origin")]
        origin = _header(scope, b"origin")
        if origin in self._origins:
            headers += [
                (b"access-control-allow-origin", origin),
                (b"access-control-allow-headers", _REQUEST_HEADERS),
                (b"access-control-expose-headers", _EXPOSED_HEADERS),
                (b"access-control-max-age", b"600"),
            ]
        return headers


class _Exchange:
    """One request and its answer: what every answer carries, whoever gives it."""

    def __init__(self, scope: Scope, send: Send, cors: list[tuple[bytes, bytes]]) -> None:
        self.scope = _named(scope)
        self.request_id: str = self.scope["state"]["request_id"]
        self._method = scope["method"]
        self._send = send
        self._cors = cors
        self._started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            message = {**message, "headers": self._headers(message.get("headers", []))}
            audit.write({**self.scope, "method": self._method}, message["status"])
        await self._send(message)

    async def fail(self, exc: Exception, receive: Receive) -> None:
        """A bug: logged with its traceback, answered without its text."""
        fields = {"request_id": self.request_id, "method": self._method, "path": self.scope["path"]}
        logger.error("unhandled error", exc_info=exc, extra={"fields": fields})
        if not self._started:
            await answer(error_answer(exc, self.scope["path"], self.request_id))(
                self.scope, receive, self.send
            )

    def _headers(self, given: Any) -> list[tuple[bytes, bytes]]:
        headers = [(name, value) for name, value in given if name.lower() != b"x-request-id"]
        present = {name.lower() for name, _ in headers}
        if b"cache-control" not in present:
            headers.append((b"cache-control", b"no-store"))
        if not self._cors:
            headers = [pair for pair in headers if not pair[0].lower().startswith(b"access-control-")]
        headers += [
            (b"x-request-id", self.request_id.encode()),
            (b"x-content-type-options", b"nosniff"),
            *self._cors,
        ]
        return headers


def _named(scope: Scope) -> Scope:
    """The request with its id. The path without a trailing slash is the same path: never a redirect."""
    presented = _header(scope, b"x-request-id")
    request_id = presented.decode() if _REQUEST_ID.fullmatch(presented) else str(uuid.uuid4())
    path = scope["path"]
    path = path[:-1] if len(path) > 1 and path.endswith("/") else path
    return {**scope, "path": path, "state": {**scope.get("state", {}), "request_id": request_id}}


async def on_known_error(request: Request, exc: Exception) -> Response:
    """The answer of an error that has a row in the dialect's table; others are raised on, as bugs."""
    found = error_answer(exc, request.scope["path"], request.state.request_id)
    if not found.known:
        raise exc
    return answer(found)


def answer(found: ErrorAnswer) -> Response:
    return JSONResponse(found.body, found.status, headers=dict(found.headers))


def method_not_allowed(methods: MethodTable, path: str) -> MethodNotAllowed:
    return MethodNotAllowed(methods.of(path))


def _without_body(send: Send) -> Send:
    """Answers HEAD from GET: the same headers, the length included, and no content."""

    async def send_headers(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_headers


def _header(scope: Scope, name: bytes) -> bytes:
    found: bytes = next((value for key, value in scope["headers"] if key == name), b"")
    return found
