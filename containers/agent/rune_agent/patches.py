"""
The five changes to the pinned library (holmes-driver.md 1.5).

Imported in the child only, after the library. `verify` refuses any other version and any missing name,
so that an upgrade fails in a test and not in an investigation.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

LIBRARY_VERSION = "0.45.0"
PATCHED_NAMES = (
    ("holmes.core.llm", "OVERRIDE_MAX_OUTPUT_TOKEN"),
    ("holmes.core.llm", "LLM_REQUEST_TIMEOUT"),
    ("holmes.core.llm", "DefaultLLM"),
    ("holmes.core.tool_calling_llm", "spill_oversized_tool_result"),
    ("holmes.utils.approval_tokens", "SIGNING_KEY"),
    ("httpx", "Client"),
)
TRUNCATED = "\n[TRUNCATED]"

RETRIED_STATUSES = frozenset({429, 502, 503, 504})
RETRIED_ERRORS = frozenset({"ReadError", "WriteError", "RemoteProtocolError"})
RETRY_DELAYS = (1.0, 2.0, 4.0)
LONGEST_RETRY_AFTER = 30.0


def verify() -> None:
    """Raise RuntimeError unless the library is exactly the one these patches were made for."""
    version = importlib.metadata.version("holmesgpt")
    if version != LIBRARY_VERSION:
        raise RuntimeError(f"the patches are for version {LIBRARY_VERSION} of the library, not {version}")
    for module, name in PATCHED_NAMES:
        if not hasattr(importlib.import_module(module), name):
            raise RuntimeError(f"the library no longer has {module}.{name}")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call to the model server. Without an answer `status` is None and `error` the reason's class."""

    host: str
    status: int | None
    retry_after: float | None = None
    error: str = ""


@dataclass(slots=True)
class CallLog:
    """What P4 saw. The child serves one request, so one log is enough."""

    exchanges: list[Exchange] = field(default_factory=list)

    def last(self, since: int = 0) -> Exchange | None:
        return self.exchanges[-1] if len(self.exchanges) > since else None


@dataclass(slots=True)
class Truncations:
    """What P2 cut: `end_index` = characters kept, `original_token_count` = tokens before."""

    records: list[dict[str, Any]] = field(default_factory=list)

    def of(self, tool_call_id: str) -> bool:
        return any(record["tool_call_id"] == tool_call_id for record in self.records)


def quiet() -> None:
    """No advice about feedback and debugging on every failed call."""
    importlib.import_module("litellm").suppress_debug_info = True  # type: ignore[attr-defined]


def set_limits(max_output_tokens: int, llm_timeout_seconds: float) -> None:
    """P1: limits of this request, set after import."""
    llm = importlib.import_module("holmes.core.llm")
    llm.OVERRIDE_MAX_OUTPUT_TOKEN = max_output_tokens  # type: ignore[attr-defined]
    llm.LLM_REQUEST_TIMEOUT = llm_timeout_seconds  # type: ignore[attr-defined]


def cut_oversized_results(truncations: Truncations) -> None:
    """P2: a result above the limit is cut to fit instead of being dropped or written to disk."""

    def cut(tool_call_result: Any, llm: Any, tool_results_dir: object = None) -> int:
        def tokens() -> int:
            return int(llm.count_tokens(messages=[tool_call_result.to_llm_message()]).total_tokens)

        before, limit = tokens(), llm.get_max_token_count_for_single_tool()
        now = before
        result = tool_call_result.result
        attribute = "data" if result.get_stringified_data() else "error"
        text = result.get_stringified_data() or result.error or ""
        kept = len(text)
        result.images = None if before > limit else result.images
        while now > limit and kept > 0:
            # Tokens are not spread evenly, so a cut in proportion may need a second one.
            kept = min(kept - 1, int(kept * limit / now * 0.95))
            setattr(result, attribute, text[:kept] + TRUNCATED)
            now = tokens()
        if kept < len(text):
            truncations.records.append(
                {
                    "tool_call_id": tool_call_result.tool_call_id,
                    "start_index": 0,
                    "end_index": kept,
                    "tool_name": tool_call_result.tool_name,
                    "original_token_count": before,
                }
            )
        return before

    loop = importlib.import_module("holmes.core.tool_calling_llm")
    loop.spill_oversized_tool_result = cut  # type: ignore[attr-defined]


def set_signing_key(key: str) -> None:
    """P3: approvals signed by one process are accepted by the next."""
    importlib.import_module("holmes.utils.approval_tokens").SIGNING_KEY = key  # type: ignore[attr-defined]


def record_calls(log: CallLog, ignored_paths: tuple[str, ...] = ("/api/show",)) -> None:
    """P4: note host, status and Retry-After of each call; the exception's text does not hold the status."""
    client = importlib.import_module("httpx").Client
    send = client.send

    @functools.wraps(send)
    def recording(self: Any, request: Any, **options: Any) -> Any:
        if request.url.path.endswith(ignored_paths):
            return send(self, request, **options)
        try:
            response = send(self, request, **options)
        except Exception as exc:
            log.exchanges.append(Exchange(request.url.host, None, error=type(exc).__name__))
            raise
        wait = _seconds(response.headers.get("retry-after"))
        log.exchanges.append(Exchange(request.url.host, response.status_code, wait))
        return response

    client.send = recording


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value is not None else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class RetryRules:
    """
    `on_call(begins_turn)` is told before each call, `on_answer(response)` after it, `on_retry(status,
    attempt, delay_ms)` before each wait. `deadline` is on the monotonic clock.
    """

    log: CallLog
    stop: threading.Event
    deadline: float
    on_call: Callable[[bool], None]
    on_answer: Callable[[Any], None]
    on_retry: Callable[[int | None, int, int], None]


def retrying_llm(rules: RetryRules, **options: Any) -> Any:
    """P5: the library's LLM class with retries for a busy or broken connection."""
    default = importlib.import_module("holmes.core.llm").DefaultLLM

    class RetryingLLM(default):  # type: ignore[misc, valid-type]
        def completion(self, *arguments: Any, **keywords: Any) -> Any:
            # The tool loop says `stream`, compaction does not: only the former begins a turn.
            rules.on_call("stream" in keywords)
            for attempt in range(len(RETRY_DELAYS) + 1):
                seen = len(rules.log.exchanges)
                try:
                    response = super().completion(*arguments, **keywords)
                    rules.on_answer(response)
                    return response
                except Exception:
                    exchange = rules.log.last(seen)
                    delay = _delay(exchange, attempt)
                    if exchange is None or delay is None or time.monotonic() + delay >= rules.deadline:
                        raise
                    rules.on_retry(exchange.status, attempt + 1, int(delay * 1_000))
                    if rules.stop.wait(delay):
                        raise
            raise AssertionError("the last attempt either returns or raises")

    return RetryingLLM(**options)


def _delay(exchange: Exchange | None, attempt: int) -> float | None:
    """Seconds until the next attempt, or None when there is none."""
    if exchange is None or attempt >= len(RETRY_DELAYS):
        return None
    if exchange.status not in RETRIED_STATUSES and exchange.error not in RETRIED_ERRORS:
        return None
    return max(RETRY_DELAYS[attempt], min(exchange.retry_after or 0.0, LONGEST_RETRY_AFTER))


def pin_names(pins: dict[str, list[str]]) -> None:
    """Resolve each pinned host name to its checked addresses only, for this whole process."""
    resolve = socket.getaddrinfo

    def pinned(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        addresses = pins.get(name.lower().rstrip(".")) if isinstance(name, str) else None
        if not addresses:
            return resolve(host, port, *arguments, **options)
        return [entry for address in addresses for entry in resolve(address, port, *arguments, **options)]

    socket.getaddrinfo = pinned
