"""What the command line finds around itself: one value, so that a test can put another world there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

if TYPE_CHECKING:
    import httpx

    from rune.local.booked_market import Proposed
    from rune_common.domain.gpu_market import GpuMarket
    from rune_common.domain.runs import RunKind


class LocalJobs(Protocol):
    """The local stack as the command line sees it (design.md 8): the same jobs, in this process."""

    def submit(
        self,
        document: dict[str, Any],
        kubeconfig: str | None,
        idempotency_key: str | None,
        *,
        kind: RunKind,
    ) -> str: ...
    def job(self, job_id: str) -> dict[str, Any]: ...
    def events(self, job_id: str, after: int) -> list[dict[str, Any]]: ...
    def cancel(self, job_id: str) -> object: ...

    @property
    def proposed(self) -> Proposed | None:
        """The offer that would be rented, once `decide` says so."""
        ...

    def decide(self, yes: bool) -> None: ...


class OpenLocal(Protocol):
    """`home` is the user's folder; with `asks` nothing is rented without a `decide`."""

    def __call__(
        self, environ: Mapping[str, str], home: Path, *, asks: bool
    ) -> AbstractContextManager[LocalJobs]: ...


OpenMarket = Callable[[Mapping[str, str]], "GpuMarket"]
Serve = Callable[[str, int], int]


def open_local_session(
    environ: Mapping[str, str], home: Path, *, asks: bool
) -> AbstractContextManager[LocalJobs]:
    """The local stack of this process. Imported here because it loads half a second of libraries."""
    from rune.local.session import LocalSession

    return LocalSession(environ, home, asks=asks)


def open_gpu_market(environ: Mapping[str, str]) -> GpuMarket:
    """The provider's account that the environment names. Raises Misconfigured, ProviderNotConfigured."""
    from rune_common.adapters.gpu_account import gpu_market
    from rune_common.domain.errors import ProviderNotConfigured
    from rune_common.settings import Settings

    settings = Settings.from_env(environ)
    if not settings.vast_api_key:
        raise ProviderNotConfigured
    return gpu_market(settings)


def serve_api(host: str, port: int) -> int:
    """Run the API server until it is stopped; the exit code of `python -m rune.api`."""
    from rune.api.__main__ import serve

    code: int = serve(host, port)
    return code


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`sleep` takes seconds, `monotonic` gives them; `transport` replaces the network of the HTTP client.

    `clock` is the time of day in epoch ms. Without `stdin` nobody can be asked anything.
    """

    environ: Mapping[str, str]
    working_directory: Path
    home: Path
    stdout: TextIO
    stderr: TextIO
    sleep: Callable[[float], None]
    monotonic: Callable[[], float]
    transport: httpx.BaseTransport | None = None
    open_local: OpenLocal = open_local_session
    open_market: OpenMarket = open_gpu_market
    serve: Serve = serve_api
    stdin: TextIO | None = None
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000
