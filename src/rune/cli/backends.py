"""Where jobs run: on a server or in this process. The workflow knows only `JobsBackend`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from rune.cli.client import JobsClient
from rune.cli.failures import Declined, UsageProblem
from rune.cli.invocation import Invocation
from rune.cli.masking import RequestLog
from rune.cli.product_errors import product_errors
from rune.cli.surroundings import LocalJobs
from rune_common.domain.jobs import KIND_WORDS
from rune_common.domain.runs import RunKind

if TYPE_CHECKING:
    from rune.local.booked_market import Proposed

HTTP, LOCAL = "http", "local"

Consent = Callable[["Proposed"], bool]
"""Whether a person wants this offer rented."""


class JobsBackend(Protocol):
    """Submit, watch and cancel jobs of one kind. `poll_seconds` is how often it is worth looking.

    `cancel_seconds` is how long a cancelled job is waited for. After `cancel` every further call ends within
    `within` seconds of it. `job` raises Declined when a person said no to what would have been rented.
    """

    poll_seconds: float
    cancel_seconds: float

    def submit(
        self, document: dict[str, Any], kubeconfig: str | None, idempotency_key: str | None
    ) -> str: ...
    def job(self, job_id: str) -> dict[str, Any]: ...
    def events(self, job_id: str, after: int) -> list[dict[str, Any]]: ...
    def cancel(self, job_id: str, within: float) -> None: ...


class HttpBackend:
    """Jobs of one kind on a server."""

    poll_seconds = 2.0
    cancel_seconds = 10.0

    def __init__(self, client: JobsClient, kind: RunKind) -> None:
        self._client, self._kind = client, kind

    def submit(self, document: dict[str, Any], kubeconfig: str | None, idempotency_key: str | None) -> str:
        body = document if kubeconfig is None else {**document, "kubeconfig": kubeconfig}
        return self._client.submit(KIND_WORDS[self._kind], body, idempotency_key)

    def job(self, job_id: str) -> dict[str, Any]:
        return self._client.job(job_id)

    def events(self, job_id: str, after: int) -> list[dict[str, Any]]:
        return self._client.events(job_id, after)

    def cancel(self, job_id: str, within: float) -> None:
        self._client.finish_within(within)
        self._client.cancel(job_id)


class LocalBackend:
    """The local stack in this process. Its errors are the product's own, with their words and codes."""

    poll_seconds = 0.5
    cancel_seconds = 130.0
    """A rented instance is torn down by this process and by nobody else."""

    def __init__(self, session: LocalJobs, kind: RunKind, consent: Consent | None = None) -> None:
        self._session, self._kind, self._consent = session, kind, consent

    def submit(self, document: dict[str, Any], kubeconfig: str | None, idempotency_key: str | None) -> str:
        with product_errors():
            return self._session.submit(document, kubeconfig, idempotency_key, kind=self._kind)

    def job(self, job_id: str) -> dict[str, Any]:
        proposed = self._session.proposed if self._consent else None
        if proposed is not None and self._consent is not None:
            yes = self._consent(proposed)
            self._session.decide(yes)
            if not yes:
                raise Declined
        with product_errors():
            return self._session.job(job_id)

    def events(self, job_id: str, after: int) -> list[dict[str, Any]]:
        with product_errors():
            return self._session.events(job_id, after)

    def cancel(self, job_id: str, within: float) -> None:
        with product_errors():
            self._session.cancel(job_id)


@contextmanager
def open_client(invocation: Invocation) -> Iterator[JobsClient]:
    """The client of the configured server, closed at the end."""
    configuration, around = invocation.configuration, invocation.surroundings
    insecure = configuration.flag("insecure")
    if insecure:
        invocation.note("warning: the server's TLS certificate is not verified (--insecure)")
    with JobsClient(
        configuration.text("api_base_url"),
        token=invocation.api_token,
        tenant=configuration.text("api_tenant"),
        verify=not insecure,
        transport=around.transport,
        log=RequestLog(invocation.note if configuration.flag("debug") else None),
        notice=invocation.note,
        sleep=around.sleep,
        monotonic=around.monotonic,
    ) as client:
        yield client


@contextmanager
def open_backend(
    invocation: Invocation, kind: RunKind = RunKind.AGENT, consent: Consent | None = None
) -> Iterator[JobsBackend]:
    """The configured backend for jobs of a kind. The local one is taken down at the end, whatever happened.

    `consent` is asked before the local one rents.
    """
    if invocation.configuration.text("backend") == HTTP:
        with open_client(invocation) as client:
            yield HttpBackend(client, kind)
        return
    around = invocation.surroundings
    with (
        product_errors(),
        around.open_local(around.environ, around.home, asks=consent is not None) as session,
    ):
        yield LocalBackend(session, kind, consent)


@contextmanager
def open_server(invocation: Invocation) -> Iterator[JobsClient]:
    """For commands that exist in http mode only. Raises UsageProblem in local mode."""
    if invocation.configuration.text("backend") != HTTP:
        raise UsageProblem(
            f"'{invocation.command}' needs a server", hint="add `--backend http` before the command"
        )
    with open_client(invocation) as client:
        yield client
