"""Who may call: principals, scopes, tokens, lockout and rate limits (jobs-api.md 2, design.md 11)."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Literal, Protocol

from rune_common.domain.errors import InsufficientScope, Unauthorized

SCOPES = (
    "runs:read",
    "runs:write",
    "runs:cancel",
    "runs:execute",
    "runs:report",
    "approvals:decide",
    "evidence:export",
    "git:checkpoint",
    "models:read",
    "kpi:read",
    "settings:read",
    "settings:write",
)
MIN_SECRET_CHARACTERS = 32
DEFAULT_TENANT = "default"
TENANT_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LOCKOUT_FAILURES = 10
LOCKOUT_WINDOW_MS = 60_000

PrincipalKind = Literal["human", "service", "run"]


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What is kept of a token: never the token. `expires_at` is epoch ms; `scopes` may be ("*",)."""

    token_hash: str
    subject: str
    kind: PrincipalKind
    tenants: tuple[str, ...]
    scopes: tuple[str, ...]
    expires_at: int | None = None
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller, bound to one tenant."""

    subject: str
    kind: PrincipalKind
    tenant: str
    scopes: tuple[str, ...] = ("*",)

    @property
    def bound_run(self) -> str | None:
        """The one run that a `run` token works on: its subject is `run:<run id>` (runs-api.md 1.3)."""
        return self.subject.removeprefix("run:") if self.kind == "run" else None

    def require(self, scope: str) -> None:
        """Raises InsufficientScope."""
        if "*" not in self.scopes and scope not in self.scopes:
            raise InsufficientScope(scope)


class TokenStore(Protocol):
    """Where tokens are kept, by the SHA-256 of their text."""

    def find(self, token_hash: str) -> TokenRecord | None: ...
    def add(self, record: TokenRecord) -> None: ...
    def revoke(self, token_hash: str) -> bool: ...


class FailureWindow(Protocol):
    """Failed authentications by source IP, shared by all API functions."""

    def recent(self, ip: str, *, since_ms: int) -> int:
        """How many failures lie after `since_ms`, counted up to the lockout's threshold."""
        ...

    def record(self, ip: str, *, now_ms: int) -> None: ...


class RateLimiter(Protocol):
    """A token bucket by key."""

    def take(self, key: str, *, burst: int, per_second: float) -> float:
        """0 when the call may go on, else the seconds until it may."""
        ...


def token_hash(token: str) -> str:
    """SHA-256 of a token, 64 lower-case hex digits."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def seed_subject(hashed: str) -> str:
    """The subject of a token seeded by the environment (runs-api.md 1.3)."""
    return f"seed-{hashed[:8]}"


def locked_out(failures: int) -> bool:
    return failures >= LOCKOUT_FAILURES


def admit(record: TokenRecord | None, presented_hash: str, tenant: str | None, *, now_ms: int) -> Principal:
    """The principal that a token stands for in a tenant, `tenant` None meaning that no header named one.

    Raises Unauthorized, in the same words for every reason (jobs-api.md 2).
    """
    stored = record.token_hash if record else "0" * 64
    matches = hmac.compare_digest(stored, presented_hash)
    if record is None or not matches or record.revoked:
        raise Unauthorized
    if record.expires_at is not None and record.expires_at <= now_ms:
        raise Unauthorized
    chosen = tenant or _implied_tenant(record)
    if not TENANT_PATTERN.fullmatch(chosen) or chosen not in record.tenants:
        raise Unauthorized
    return Principal(record.subject, record.kind, chosen, record.scopes)


def _implied_tenant(record: TokenRecord) -> str:
    only = record.tenants[0] if len(record.tenants) == 1 else None
    return DEFAULT_TENANT if DEFAULT_TENANT in record.tenants or only is None else only
