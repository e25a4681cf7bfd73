"""`python -m rune.api`: the whole product on this machine."""

from __future__ import annotations

import os
import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

from rune.local.logs import configure_logging
from rune.local.server import local_settings, local_stack
from rune_common.domain.errors import Misconfigured
from rune_common.settings import Settings


def serve(host: str, port: int) -> int:
    """Serve until SIGINT or SIGTERM. 0 after an orderly end, 1 when it could not start, with the reason."""
    try:
        settings = local_settings(os.environ, host)
        # Only their hashes are kept from here on, and no process that is started sees them.
        os.environ.pop("RUNE_API_TOKENS", None)
        configure_logging(settings.log_level)
        with _listener(host, port) as listener, local_stack(settings, os.environ) as found:
            return _answer(found, listener)
    except Misconfigured as exc:
        print(f"rune: {exc}", file=sys.stderr)
        return 1


def _listener(host: str, port: int) -> socket.socket:
    """Take the port before anything is started; port 0 takes a free one. Raises Misconfigured."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as exc:
        raise Misconfigured(f"cannot listen on {host}:{port}: {exc.strerror}") from exc


def _answer(settings: Settings, listener: socket.socket) -> int:
    import uvicorn

    from rune_common.http import terminal_socket
    from rune_common.http.app import make_app
    from rune_common.http.routes import ROUTERS
    from rune_common.wiring import wire

    app = make_app(*ROUTERS.values(), terminal_socket.router, services=wire(settings), docs=True)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=5,
            ws_max_size=64 * 1024,
        )
    )
    host, port, *_ = listener.getsockname()
    shown = f"[{host}]" if ":" in host else host
    print(f"Rune listens on http://{shown}:{port}", file=sys.stderr, flush=True)
    server.run(sockets=[listener])
    return 0 if server.started else 1


class _Ended(BaseException):
    """uvicorn raises its signals again once it has shut down; the stack around it must still be closed."""


def _end(signum: int, frame: FrameType | None) -> NoReturn:
    raise _Ended


def main() -> int:
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    try:
        return _serve_as_configured()
    except _Ended:
        return 0


def _serve_as_configured() -> int:
    return serve(os.environ.get("RUNE_API_HOST", "127.0.0.1"), int(os.environ.get("RUNE_API_PORT", "8080")))


if __name__ == "__main__":
    raise SystemExit(main())
