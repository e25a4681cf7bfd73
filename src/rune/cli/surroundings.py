"""What the command line finds around itself: one value, so that a test can put another world there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

if TYPE_CHECKING:
    import httpx

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


OpenLocal = Callable[[Mapping[str, str]], AbstractContextManager[LocalJobs]]
Serve = Callable[[str, int], int]


def open_local_session(environ: Mapping[str, str]) -> AbstractContextManager[LocalJobs]:
    """The local stack of this process. Imported here because it loads half a second of libraries."""
    from rune.local.session import LocalSession

    return LocalSession(environ)


def serve_api(host: str, port: int) -> int:
    """Run the API server until it is stopped; the exit code of `python -m rune.api`."""
    from rune.api.__main__ import serve

    code: int = serve(host, port)
    return code


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`sleep` takes seconds, `monotonic` gives them; `transport` replaces the network of the HTTP client."""

    environ: Mapping[str, str]
    working_directory: Path
    home: Path
    stdout: TextIO
    stderr: TextIO
    sleep: Callable[[float], None]
    monotonic: Callable[[], float]
    transport: httpx.BaseTransport | None = None
    open_local: OpenLocal = open_local_session
    serve: Serve = serve_api
