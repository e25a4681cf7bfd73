"""The fallback database: moto's DynamoDB in this process's memory, one request at a time.

moto loses updates under concurrent writers, so its requests are answered by a single thread.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Self


class MotoDatabase:
    """Starts on entering, stops on leaving; nothing survives."""

    def __init__(self) -> None:
        self._server: Any = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            def log(self, type: str, message: str, *args: object) -> None:
                pass

        application = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, application, threaded=False, request_handler=Quiet)
        threading.Thread(target=self._server.serve_forever, name="moto-database", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
