"""The `--debug` log of requests: one line each way on stderr, without anything secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from rune.cli.printing import without_credentials

SECRET_HEADERS = frozenset({"authorization", "x-api-key", "cookie", "set-cookie", "proxy-authorization"})
SECRET_FIELDS = frozenset({"kubeconfig", "api_token", "token", "password", "secret", "api_key"})
MASK = "***"
LONGEST = 2_000


class RequestLog:
    """`write` takes one line; without it nothing is logged."""

    def __init__(self, write: Callable[[str], None] | None = None) -> None:
        self._write = write

    def sent(self, method: str, url: str, headers: Mapping[str, str], body: Mapping[str, Any] | None) -> None:
        if self._write is not None:
            shown = {
                name: MASK if name.lower() in SECRET_HEADERS else value for name, value in headers.items()
            }
            text = "" if body is None else f" {json.dumps(_masked(body))}"
            self._write(f"> {method} {without_credentials(url)} {json.dumps(shown)}{text}"[:LONGEST])

    def received(self, status: int, elapsed: float, request_id: str) -> None:
        if self._write is not None:
            self._write(f"< {status} in {elapsed * 1000:.0f} ms, request {request_id or 'without id'}")

    def failed(self, problem: str) -> None:
        if self._write is not None:
            self._write(f"< no answer: {problem}")


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: MASK if str(key).lower() in SECRET_FIELDS and inner else _masked(inner)
            for key, inner in value.items()
        }
    return [_masked(inner) for inner in value] if isinstance(value, list) else value
