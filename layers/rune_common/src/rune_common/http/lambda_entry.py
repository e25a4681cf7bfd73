"""The entry of a Lambda function that answers HTTP."""

from __future__ import annotations

import os
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from mangum import Mangum

from rune_common.http.app import make_app
from rune_common.http.audit import configure_logging
from rune_common.settings import Settings
from rune_common.wiring import Services, wire

ADAPTER_PORT = 8080
"""Where the Web Adapter expects a function to listen."""

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def http_function(
    *routers: APIRouter,
    environ: MutableMapping[str, str] | None = None,
    build: Callable[[Settings], Services] = wire,
) -> Handler:
    """A Lambda handler for these routers. Reads the environment, so call it only from functions/.

    Seeded tokens leave the environment at once: only their hashes are kept (jobs-api.md 2).
    """
    return Mangum(_application(routers, os.environ if environ is None else environ, build), lifespan="off")


def serve(
    *routers: APIRouter,
    environ: MutableMapping[str, str] | None = None,
    build: Callable[[Settings], Services] = wire,
    port: int = ADAPTER_PORT,
) -> None:
    """Serve these routers to Lambda's Web Adapter, which passes an answer on while it is made. Does not return.

    Reads the environment, as `http_function` does.
    """
    import uvicorn

    from rune_common.http.gateway_context import GatewayContext

    app = GatewayContext(_application(routers, os.environ if environ is None else environ, build))
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
    )


def _application(
    routers: Sequence[APIRouter], variables: MutableMapping[str, str], build: Callable[[Settings], Services]
) -> FastAPI:
    settings = Settings.from_env(variables)
    variables.pop("RUNE_API_TOKENS", None)
    configure_logging(settings.log_level)
    return make_app(*routers, services=build(settings), one_at_a_time=True)
