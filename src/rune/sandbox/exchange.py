"""What a simulator is asked and what it answers, free of sockets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class SimRequest:
    """One HTTP request. `path` is percent-decoded and without query; header names are lower case.

    `client_gone()` tells whether the caller has hung up, for handlers that hold a request.
    """

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes = b""
    client_gone: Callable[[], bool] = field(default=lambda: False, compare=False)

    def json(self) -> Any:
        """The body as JSON; None for an empty body, ValueError for anything else that does not parse."""
        return json.loads(self.body) if self.body.strip() else None

    def bearer(self) -> str | None:
        """The token of `Authorization: Bearer …`, if there is one."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" and token.strip() else None


@dataclass(frozen=True, slots=True)
class Cut:
    """How a connection breaks: after so many body bytes (None: before any answer), by close or by RST."""

    after_bytes: int | None
    reset: bool = False


@dataclass(frozen=True, slots=True)
class SimResponse:
    """One answer. A `bytes` body goes with Content-Length, any other iterable as a chunked stream."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: Cut | None = None

    @classmethod
    def json(cls, obj: object, status: int = 200, headers: dict[str, str] | None = None) -> Self:
        body = json.dumps(obj, ensure_ascii=False, separators=(",", ":")).encode()
        return cls(status, body, {"Content-Type": "application/json", **(headers or {})})

    @classmethod
    def text(cls, text: str, status: int = 200, headers: dict[str, str] | None = None) -> Self:
        return cls(
            status,
            text.encode(),
            {"Content-Type": "text/plain; charset=utf-8", **(headers or {})},
        )
