"""Builds the HTTP application from routers, and its OpenAPI document."""

from __future__ import annotations

import functools
import json

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from rune_common.domain.errors import InvalidRequest, RouteNotFound, RuneError
from rune_common.http.authentication import OpenRouter, authenticated
from rune_common.http.edge import Edge, method_not_allowed, on_known_error
from rune_common.http.methods import MethodTable
from rune_common.http.validation import field_problems
from rune_common.wiring import Services

TITLE = "Rune"


def make_app(
    *routers: APIRouter, services: Services, docs: bool = False, one_at_a_time: bool = False
) -> FastAPI:
    """The application of these routers. Every operation needs a principal, except an OpenRouter's.

    `docs` adds the generated document under `/openapi.json`, open to everyone.
    """
    app = _application(routers, services.settings.product_version, docs=docs)
    app.state.services = services
    app.state.one_at_a_time = one_at_a_time
    methods = MethodTable(routers)

    async def on_http_error(request: Request, exc: Exception) -> Response:
        wrong_method = isinstance(exc, HTTPException) and exc.status_code == 405
        path = request.scope["path"]
        return await on_known_error(
            request, method_not_allowed(methods, path) if wrong_method else RouteNotFound()
        )

    async def on_invalid(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, RequestValidationError)
        return await on_known_error(request, InvalidRequest(*field_problems(exc.errors(), skip=1)))

    app.add_exception_handler(RuneError, on_known_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http_error)
    if docs:
        from rune_common.http.openapi import complete

        app.openapi = functools.partial(complete, app)  # type: ignore[method-assign]
    app.add_middleware(Edge, methods=methods, origins=services.settings.allowed_origins)
    return app


def _application(routers: tuple[APIRouter, ...], version: str, *, docs: bool) -> FastAPI:
    app = FastAPI(
        title=TITLE,
        version=version,
        openapi_url="/openapi.json" if docs else None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    for router in routers:
        closed = [] if isinstance(router, OpenRouter) else [Depends(authenticated)]
        app.include_router(router, dependencies=closed)
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def openapi(*routers: APIRouter, version: str = "0.1.0") -> str:
    """The OpenAPI document of these routers (all of them when none is given), always in the same bytes."""
    from rune_common.http.openapi import complete
    from rune_common.http.routes import ROUTERS

    app = _application(routers or tuple(ROUTERS.values()), version, docs=False)
    return json.dumps(complete(app), indent=2, sort_keys=True) + "\n"
