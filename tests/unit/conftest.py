"""Services, application and client built from memory adapters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from rune_common.adapters.memory import (
    MemoryBlobStore,
    MemoryFailureWindow,
    MemoryRateLimiter,
    MemoryRunStore,
    MemoryTokenStore,
)
from rune_common.adapters.seeded_tokens import SeededTokenStore
from rune_common.domain.addresses import AddressPolicy
from rune_common.http.app import make_app
from rune_common.http.routes import ROUTERS
from rune_common.settings import Settings
from rune_common.wiring import Services

TOKEN = "default-token-of-more-than-32-chars"
TOKEN_B = "other-tenants-token-of-32-characters"
LOOPBACK = AddressPolicy(("localhost", "127.0.0.0/8", "[::1]"))
START_MS = 1_760_000_000_000

Request = Callable[..., Any]


@dataclass
class ManualClock:
    """A clock that stands still until it is moved. Epoch ms."""

    now: int = START_MS

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * 1000)

    def seconds(self) -> float:
        return self.now / 1000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def build_services(clock: ManualClock) -> Callable[..., Services]:
    """Services of memory adapters; keyword arguments are settings, `replaced` replaces ports."""

    def build(replaced: dict[str, Any] | None = None, **settings: Any) -> Services:
        known = {
            "api_tokens": f"default:{TOKEN},teamb:{TOKEN_B}",
            "backend_url": "http://127.0.0.1:11434",
            "product_version": "9.9.9",
        }
        chosen = Settings(**(known | settings))
        unused = object()
        ports: dict[str, Any] = {
            "settings": chosen,
            "runs": MemoryRunStore(),
            "blobs": MemoryBlobStore(),
            "tokens": SeededTokenStore.of(chosen, MemoryTokenStore()),
            "failures": MemoryFailureWindow(),
            "limiter": MemoryRateLimiter(clock.seconds),
            "executions": unused,
            "agents": unused,
            "callbacks": unused,
            "servers": unused,
            "backend_policy": LOOPBACK,
            "cluster_policy": LOOPBACK,
            "cursor_key": b"k" * 32,
            "clock": clock,
        }
        return Services(**(ports | (replaced or {})))

    return build


@pytest.fixture
def services(build_services: Callable[..., Services]) -> Services:
    return build_services()


@pytest.fixture
def open_client() -> Callable[..., Any]:
    """An HTTP client of the whole application; `token` None sends none, `ip` is the socket's peer."""

    @asynccontextmanager
    async def opened(
        services: Services, token: str | None = TOKEN, ip: str = "192.0.2.1", routers: Any = None
    ) -> AsyncIterator[httpx.AsyncClient]:
        app = make_app(*(ROUTERS.values() if routers is None else routers), services=services)
        transport = httpx.ASGITransport(app=app, client=(ip, 5000), raise_app_exceptions=False)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://rune", headers=headers) as client:
            yield client

    return opened


@pytest.fixture
async def client(services: Services, open_client: Callable[..., Any]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of tenant `default`."""
    async with open_client(services) as opened:
        yield opened


@pytest.fixture
async def client_b(services: Services, open_client: Callable[..., Any]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of another tenant on the same services."""
    async with open_client(services, token=TOKEN_B) as opened:
        yield opened
