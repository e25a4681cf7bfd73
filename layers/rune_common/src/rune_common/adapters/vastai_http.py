"""Calls of the Vast.ai API: one client per process, pauses per endpoint, repeats with jitter, bounded answers."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rune_common.domain.gpu_market import KeyRefused, MarketRefused, MarketUnavailable

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 5.0
MAX_BODY_BYTES = 8 * 1024 * 1024
ATTEMPTS = 3
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 60.0
_ID = re.compile(r"/\d+(?=/|$)")


class NotSent(MarketUnavailable):
    """There was no connection, so the provider knows nothing of the call."""


@dataclass(frozen=True, slots=True)
class VastReply:
    status: int
    content: bytes


class VastHttp:
    """Thread-safe. `repeated` is for calls that may be made twice; a caller that polls repeats the rest."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout: float = 30.0,
        min_interval: float = 1.0,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._base_url, self._key = base_url.rstrip("/"), api_key
        self._timeout, self._min_interval = timeout, min_interval
        self._sleep, self._monotonic, self._jitter = sleep, monotonic, jitter
        self._lock = threading.Lock()
        self._free_at: dict[tuple[str, str], float] = {}
        self._client: httpx.Client | None = None

    def close(self) -> None:
        """Give the connections back; a later call opens new ones."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def once(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> VastReply:
        """Raises MarketUnavailable for a call without an answer, MarketRefused for a key that does not fit."""
        return self._call(method, path, body, None)

    def repeated(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        absent: tuple[int, ...] = (),
    ) -> VastReply:
        """The answer 200, or one of `absent`. Raises MarketUnavailable after some tries, MarketRefused."""
        pause = FIRST_PAUSE_SECONDS
        for left in reversed(range(ATTEMPTS)):
            try:
                reply = self._call(method, path, body, query)
            except MarketUnavailable:
                if not left:
                    raise
            else:
                if reply.status == 200 or reply.status in absent:
                    return reply
                if reply.status != 429 and reply.status < 500:
                    raise MarketRefused("the provider refused a call")
                if not left:
                    raise MarketUnavailable("the provider asks for patience")
            self._sleep(pause * (0.5 + self._jitter() / 2))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        raise MarketUnavailable("the provider does not answer")

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None, query: Mapping[str, str] | None
    ) -> VastReply:
        import httpx

        self._wait_for_turn(method, path)
        try:
            with self._opened().stream(method, path, json=body, params=query) as answer:
                content = b""
                for part in answer.iter_bytes():
                    content += part
                    if len(content) > MAX_BODY_BYTES:
                        raise MarketUnavailable("the provider's answer is too large")
        except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
            raise NotSent("the provider cannot be reached") from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise MarketUnavailable("the provider does not answer") from exc
        if answer.status_code in (401, 403):
            raise KeyRefused("the provider does not take the key")
        return VastReply(answer.status_code, content)

    def _wait_for_turn(self, method: str, path: str) -> None:
        """The provider limits each endpoint by the time between two calls."""
        endpoint = (method, _ID.sub("/#", path))
        with self._lock:
            now = self._monotonic()
            turn = max(now, self._free_at.get(endpoint, now))
            self._free_at[endpoint] = turn + self._min_interval
        if turn > now:
            self._sleep(turn - now)

    def _opened(self) -> httpx.Client:
        import httpx

        with self._lock:
            if self._client is None:
                self._client = httpx.Client(
                    base_url=self._base_url,
                    headers={"Authorization": f"Bearer {self._key}", "Accept": "application/json"},
                    follow_redirects=False,
                    trust_env=False,
                    timeout=httpx.Timeout(self._timeout, connect=CONNECT_SECONDS),
                )
            return self._client
