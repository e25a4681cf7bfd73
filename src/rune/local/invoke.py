"""Lambda's Invoke call on loopback, so that the state machines' tasks reach the real handlers."""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Handler = Callable[[dict[str, Any], object], Any]

logger = logging.getLogger("rune.local.invoke")


class InvokeServer:
    """Serves `POST /<secret>/2015-03-31/functions/<name or ARN>/invocations` for the given handlers.

    The secret path keeps other users of the machine out, since Lambda's signature is not checked.
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._secret = secrets.token_urlsafe(18)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_class(handlers, self._secret))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/{self._secret}"

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, name="invoke", daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler_class(handlers: Mapping[str, Handler], secret: str) -> type[BaseHTTPRequestHandler]:
    class InvokeRequest(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = self.path.strip("/").split("/")
            if len(parts) != 5 or not secrets.compare_digest(parts[0], secret):
                self._answer(403, {"message": "forbidden"})
                return
            handler = handlers.get(parts[3].replace("%3A", ":").rsplit(":", 1)[-1])
            if handler is None:
                self._answer(404, {"Type": "User", "message": "no such function"})
                return
            self._answer(200, *invoke(handler, json.loads(body or b"{}")))

        def _answer(self, status: int, document: Any, error: bool = False) -> None:
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if error:
                self.send_header("X-Amz-Function-Error", "Unhandled")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            logger.debug(format, *args)

    return InvokeRequest


def invoke(handler: Handler, event: dict[str, Any]) -> tuple[Any, bool]:
    """The handler's answer, or Lambda's error document with the exception's class name."""
    try:
        return handler(event, None), False
    except Exception as exc:
        logger.info("a task raised %s", type(exc).__name__, exc_info=exc)
        return {"errorType": type(exc).__name__, "errorMessage": type(exc).__name__, "stackTrace": []}, True
