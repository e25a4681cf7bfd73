"""Who is calling, and may they call now (jobs-api.md 2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rune_common.domain.access import (
    DEFAULT_TENANT,
    LOCKOUT_WINDOW_MS,
    TENANT_PATTERN,
    FailureWindow,
    Principal,
    RateLimiter,
    TokenStore,
    admit,
    locked_out,
    token_hash,
)
from rune_common.domain.errors import LockedOut, RateLimited, Unauthorized
from rune_common.domain.ports import Clock

LOCAL_SUBJECT = "local"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request presents: its source address, its token and the tenant that a header names."""

    ip: str
    token: str | None
    tenant: str | None


@dataclass(frozen=True, slots=True)
class AccessLimits:
    """Token buckets without and with a verified token; `open_to_all` switches tokens off."""

    burst: int
    per_second: float
    verified_burst: int
    verified_per_second: float
    open_to_all: bool = False


def authenticate(
    presented: Credentials,
    *,
    limits: AccessLimits,
    tokens: TokenStore,
    failures: FailureWindow,
    limiter: RateLimiter,
    clock: Clock,
) -> Principal:
    """The caller. Order: lockout, token, bucket by its outcome, then the refusal and its count.

    Raises LockedOut, RateLimited, Unauthorized; the caller's scope is for the operation to check.
    """
    if limits.open_to_all:
        principal = _anyone(presented.tenant)
        _take(f"open:{presented.ip}", True, limits, limiter)
        return principal
    now = clock()
    if locked_out(failures.recent(presented.ip, since_ms=now - LOCKOUT_WINDOW_MS)):
        raise LockedOut
    # A missing token is looked up as well, so that every refusal takes the same path.
    hashed = token_hash(presented.token or "")
    try:
        principal = admit(tokens.find(hashed), hashed, presented.tenant, now_ms=now)
    except Unauthorized:
        _take(f"ip:{presented.ip}", False, limits, limiter)
        failures.record(presented.ip, now_ms=now)
        raise
    _take(f"token:{presented.ip}:{hashed}", True, limits, limiter)
    return principal


def _anyone(tenant: str | None) -> Principal:
    chosen = tenant or DEFAULT_TENANT
    if not TENANT_PATTERN.fullmatch(chosen):
        raise Unauthorized
    return Principal(LOCAL_SUBJECT, "human", chosen)


def _take(key: str, verified: bool, limits: AccessLimits, limiter: RateLimiter) -> None:
    burst, rate = (
        (limits.verified_burst, limits.verified_per_second) if verified else (limits.burst, limits.per_second)
    )
    wait = limiter.take(key, burst=burst, per_second=rate)
    if wait > 0:
        raise RateLimited(math.ceil(wait))
