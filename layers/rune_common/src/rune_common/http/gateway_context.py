"""What API Gateway knows of a request, told by the Web Adapter in headers of its own (jobs-api.md 2)."""

from __future__ import annotations

import json

from starlette.types import ASGIApp, Receive, Scope, Send

REQUEST_CONTEXT = b"x-amzn-request-context"
_FROM_ADAPTER = frozenset({REQUEST_CONTEXT, b"x-amzn-lambda-context"})


class GatewayContext:
    """ASGI middleware: the request's client is the gateway's, not the adapter. The headers go no further.

    Only for an application that nobody but the adapter can reach: it replaces what a client sent under these
    names.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            context = next((value for name, value in scope["headers"] if name == REQUEST_CONTEXT), b"")
            headers = [pair for pair in scope["headers"] if pair[0] not in _FROM_ADAPTER]
            scope = {**scope, "headers": headers, "client": (_source_ip(context), 0)}
        await self._app(scope, receive, send)


def _source_ip(context: bytes) -> str:
    """The address of the gateway's client; without one all such requests count as one unknown client."""
    try:
        found = json.loads(context)["identity"]["sourceIp"]
    except (ValueError, KeyError, TypeError):
        return "unknown"
    return found if isinstance(found, str) else "unknown"
