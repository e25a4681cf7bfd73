"""The log of what a simulator was asked, with secrets masked (holmes-driver.md 6)."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import asdict, dataclass, replace
from typing import Any

from rune.sandbox.exchange import SimRequest

MASK = "***"
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"})
SECRET_KEYS = re.compile(
    r"^(.*[_-])?(api[_-]?key|token|password|passwd|secret|client[_-]key[_-]data|authorization|credentials?)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request as it arrived: `at` in clock seconds, secrets replaced by `***`.

    `status` is None until an answer started (and stays None when none did); `fault` names the fault that was
    applied; `abandoned` is true when the caller hung up before the whole answer was written.
    """

    number: int
    at: float
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: str
    status: int | None = None
    fault: str | None = None
    abandoned: bool = False

    def json(self) -> Any:
        """The (masked) body as JSON; None when there was none."""
        return json.loads(self.body) if self.body.strip() else None


class RequestLog:
    """Append-only between resets; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[int, LoggedRequest] = {}
        self._next = 1

    def add(self, request: SimRequest, at: float) -> int:
        """Record an arrival and return its number, by which `note` finds it."""
        with self._lock:
            number, self._next = self._next, self._next + 1
            self._entries[number] = LoggedRequest(
                number, at, request.method, request.path, mask_query(request.query),
                {k: mask_header(k, v) for k, v in request.headers.items()}, mask_body(request.body),
            )  # fmt: skip
            return number

    def note(self, number: int, **changes: Any) -> None:
        """Add what became of a request; one forgotten by a reset stays forgotten."""
        with self._lock:
            if number in self._entries:
                self._entries[number] = replace(self._entries[number], **changes)

    def entries(self) -> list[LoggedRequest]:
        with self._lock:
            return list(self._entries.values())

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def as_json(self) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in self.entries()]


def mask_header(name: str, value: str) -> str:
    """A secret header's value keeps its scheme, so that a test can still see how the caller signed in."""
    if name.lower() not in SECRET_HEADERS:
        return value
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {MASK}" if space else MASK


def mask_query(query: dict[str, list[str]]) -> dict[str, list[str]]:
    return {k: [MASK] * len(v) if SECRET_KEYS.match(k) else list(v) for k, v in query.items()}


def mask_body(body: bytes) -> str:
    """JSON with the values of secret keys masked; anything else as text, undecodable bytes replaced."""
    text = body.decode("utf-8", "replace")
    try:
        parsed = json.loads(text) if text.strip() else None
    except ValueError:
        return text
    return text if parsed is None else json.dumps(_masked(parsed), ensure_ascii=False)


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            k: MASK if isinstance(v, str) and SECRET_KEYS.match(str(k)) else _masked(v)
            for k, v in value.items()
        }
    return [_masked(item) for item in value] if isinstance(value, list) else value
