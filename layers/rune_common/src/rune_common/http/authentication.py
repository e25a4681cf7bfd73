"""The authentication dependency (jobs-api.md 2). Every router has it unless it is an `OpenRouter`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Security
from fastapi.security import SecurityScopes
from starlette.requests import HTTPConnection

from rune_common.domain.access import DEFAULT_TENANT, Principal
from rune_common.domain.errors import InsufficientScope, LockedOut, RunNotFound, Unauthorized
from rune_common.http.audit import Outcome, note
from rune_common.http.source_ip import source_ip
from rune_common.http.wired import Wired, blocking
from rune_common.settings import Settings
from rune_common.usecases.authenticate import AccessLimits, Credentials, authenticate
from rune_common.wiring import Services


class OpenRouter(APIRouter):
    """A router whose operations need no principal and count against no limit."""


class TicketRouter(OpenRouter):
    """A router whose operations find their principal by themselves: by a token, or by a ticket."""


async def authenticated(request: Request, services: Wired) -> Principal:
    """The caller, found once per request. Raises Unauthorized, LockedOut, RateLimited."""
    if access_limits(services.settings).open_to_all:
        return _authenticated(request, services)
    return await blocking(request, lambda: _authenticated(request, services))


def _authenticated(request: Request, services: Services) -> Principal:
    presented = Credentials(
        ip=source_ip(request.scope, services.settings.trusted_proxies),
        token=presented_token(request),
        tenant=request.headers.get("x-tenant-id"),
    )
    try:
        principal = authenticate(
            presented,
            limits=access_limits(services.settings),
            tokens=services.tokens,
            failures=services.failures,
            limiter=services.limiter,
            clock=services.clock,
        )
    except Unauthorized as exc:
        outcome: Outcome = "lockout" if isinstance(exc, LockedOut) else "failure"
        note(request.scope, outcome, ip=presented.ip, tenant=presented.tenant or DEFAULT_TENANT)
        raise
    note(request.scope, "success", ip=presented.ip, tenant=principal.tenant)
    return principal


async def _allowed(
    request: Request, principal: Annotated[Principal, Depends(authenticated)], scopes: SecurityScopes
) -> Principal:
    return allowed(request, principal, scopes.scopes)


def allowed(request: Request, principal: Principal, scopes: Iterable[str]) -> Principal:
    """The caller, if it may do this here. A run's own token knows no other run (runs-api.md 1.3).

    Raises InsufficientScope, RunNotFound.
    """
    for scope in scopes:
        principal.require(scope)
    if principal.bound_run is not None:
        asked = request.path_params.get("run_id") or request.path_params.get("job_id")
        if asked is None:
            raise InsufficientScope("a run's token is for its run")
        if asked != principal.bound_run:
            raise RunNotFound(asked)
    return principal


CanRead = Annotated[Principal, Security(_allowed, scopes=["runs:read"])]
CanWrite = Annotated[Principal, Security(_allowed, scopes=["runs:write"])]
CanDecide = Annotated[Principal, Security(_allowed, scopes=["approvals:decide"])]
CanCancel = Annotated[Principal, Security(_allowed, scopes=["runs:cancel"])]
CanReport = Annotated[Principal, Security(_allowed, scopes=["runs:report"])]
CanReadModels = Annotated[Principal, Security(_allowed, scopes=["models:read"])]
CanReadKpi = Annotated[Principal, Security(_allowed, scopes=["kpi:read"])]

CanExportEvidence = Annotated[Principal, Security(_allowed, scopes=["evidence:export"])]

CanReadSettings = Annotated[Principal, Security(_allowed, scopes=["settings:read"])]
CanWriteSettings = Annotated[Principal, Security(_allowed, scopes=["settings:write"])]


def presented_token(request: HTTPConnection) -> str | None:
    """The presented token: a bearer token wins over `X-API-Key`."""
    scheme, _, bearer = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        return bearer.strip()
    return request.headers.get("x-api-key", "").strip() or None


def access_limits(settings: Settings) -> AccessLimits:
    return AccessLimits(
        burst=settings.rate_burst,
        per_second=settings.rate_per_second,
        verified_burst=settings.auth_rate_burst,
        verified_per_second=settings.auth_rate_per_second,
        # Switching tokens off is for a local server only, whatever the variable says on AWS.
        open_to_all=settings.auth_disabled and not settings.on_aws,
    )
