"""A small client of the Jobs API (jobs-api.md 1–4): what the command line needs, nothing else."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import IO, Any, Self, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx

from rune.cli.failures import CliFailure, UsageProblem
from rune.cli.masking import RequestLog
from rune.cli.printing import without_credentials
from rune.cli.refusals import refusal
from rune.cli.sse import END, Frame, frames

REQUEST_TIMEOUT = 20.0
RETRY_SECONDS = 60.0
FIRST_DELAY, LONGEST_DELAY = 0.5, 8.0
EVENT_PAGE = 5_000
TRACE_SILENCE = 10.0
"""A trace is never silent for 5 s; after this long its connection is lost."""

T = TypeVar("T")


BAD_ANSWER = "the server's answer does not have the expected form; is this a Rune server?"


class ConnectionLost(Exception):
    """A stream broke, or could not be opened, and may be taken up again; the text completes "the server"."""


def _nothing(_text: str) -> None:
    pass


class JobsClient:
    """One server, one tenant. Every call raises CliFailure when the server refuses or stays unreachable.

    Connection errors, 429 and 5xx are tried again with growing pauses for up to 60 s; a POST only because
    it always carries an idempotency key. `notice` is told what a person should know while waiting.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str = "",
        tenant: str = "default",
        verify: bool = True,
        transport: httpx.BaseTransport | None = None,
        log: RequestLog | None = None,
        notice: Callable[[str], None] = _nothing,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        headers = {"Accept": "application/json", "X-Tenant-ID": tenant}
        if token:
            headers |= {"Authorization": f"Bearer {token}", "X-API-Key": token}
        try:
            self._http = httpx.Client(
                base_url=base_url,
                headers=headers,
                timeout=REQUEST_TIMEOUT,
                verify=verify,
                transport=transport,
            )
        except (httpx.InvalidURL, UnicodeEncodeError, ValueError) as exc:
            raise UsageProblem("the address of the server, the tenant or the token is not usable") from exc
        if self._http.base_url.scheme not in {"http", "https"}:
            raise UsageProblem("Invalid value for '--api-base-url': must start with http:// or https://")
        self._address = without_credentials(base_url)
        self._log, self._notice = log or RequestLog(), notice
        self._sleep, self._monotonic, self._jitter = sleep, monotonic, jitter
        self._deadline = math.inf

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def finish_within(self, seconds: float) -> None:
        """From now on all calls together take no longer, retries included; then they fail."""
        self._deadline = self._monotonic() + seconds

    def submit(self, kind: str, document: Mapping[str, Any], idempotency_key: str | None = None) -> str:
        """POST /v1/jobs/{kind}; the job's id. Without a key one is made, so that a retry is no second job."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid4())}
        answer = self._call("POST", f"/v1/jobs/{kind}", body=document, headers=headers)
        return _field(answer, "job_id", str)

    def job(self, job_id: str) -> dict[str, Any]:
        return self._call("GET", f"/v1/jobs/{quote(job_id, safe='')}")

    def jobs(self, **filters: str | int | None) -> dict[str, Any]:
        """One page: `{jobs, next_cursor}` (jobs-api.md 4.6)."""
        return self._call("GET", "/v1/jobs", query=filters)

    def cancel(self, job_id: str) -> str:
        """DELETE /v1/jobs/{id}; `cancelled` or `cancelling`."""
        return _field(self._call("DELETE", f"/v1/jobs/{quote(job_id, safe='')}"), "status", str)

    def release(self, job_id: str) -> str:
        """`releasing`, or `released` when nothing is left."""
        return _field(self.call("POST", f"/v1/jobs/{quote(job_id, safe='')}/release"), "status", str)

    def events(self, job_id: str, after: int = 0, limit: int | None = None) -> list[dict[str, Any]]:
        """The events after `after`, at most `limit`, in order; every page of them."""
        found: list[dict[str, Any]] = []
        cursor: int | None = after
        while cursor is not None and (limit is None or len(found) < limit):
            size = EVENT_PAGE if limit is None else min(EVENT_PAGE, limit - len(found))
            query = {"after": cursor or None, "limit": size}
            page = self._call("GET", f"/v1/jobs/{quote(job_id, safe='')}/events", query=query)
            found += _field(page, "events", list)
            following = page.get("next_after")
            # A page may be short before the end: only the server's mark tells, while it moves.
            cursor = following if isinstance(following, int) and following > cursor else None
        return found

    def trace(self, job_id: str, known: str) -> Iterator[Frame]:
        """GET /v1/runs/{id}/trace, after the event that is known already. Its last frame is `end`, if it ends.

        Raises ConnectionLost when it may be tried again.
        """
        path = f"/v1/runs/{quote(job_id, safe='')}/trace"
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": known} if known else {})
        started = self._monotonic()
        try:
            with self._http.stream("GET", path, headers=headers, timeout=TRACE_SILENCE) as answer:
                elapsed = self._monotonic() - started
                self._log.received(answer.status_code, elapsed, answer.headers.get("X-Request-Id", ""))
                if answer.status_code == 429 or answer.status_code >= 500:
                    raise ConnectionLost(f"answered {answer.status_code}")
                if not answer.is_success:
                    answer.read()
                    raise refusal(answer)
                yield from [END] if answer.status_code == 204 else frames(answer.iter_bytes())
        except httpx.TransportError as exc:
            self._log.failed(f"{type(exc).__name__}: {exc}")
            raise ConnectionLost(
                "timed out" if isinstance(exc, httpx.TimeoutException) else "cannot be reached"
            ) from exc

    def artifacts(self, job_id: str) -> list[dict[str, Any]]:
        """GET /v1/runs/{id}/artifacts: the job's files, oldest first (jobs-api.md 10)."""
        return _field(self._call("GET", f"/v1/runs/{quote(job_id, safe='')}/artifacts"), "artifacts", list)

    def artifact(self, job_id: str, artifact_id: str, out: IO[bytes]) -> None:
        """Write one of the job's files."""
        place = f"v1/runs/{quote(job_id, safe='')}/artifacts/{quote(artifact_id, safe='')}"
        self.download(f"{str(self._http.base_url).rstrip('/')}/{place}", out)

    def catalog(self) -> dict[str, Any]:
        """GET /v1/catalog/vastai-models: `{models}`."""
        return self._call("GET", "/v1/catalog/vastai-models")

    def models(self, backend_url: str, backend_type: str) -> dict[str, Any]:
        """GET /v1/llm/models: what the model server there has and runs (jobs-api.md 13)."""
        query = {"backend_url": backend_url, "backend_type": backend_type}
        return self._call("GET", "/v1/llm/models", query=query)

    def estimate(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """POST /v1/estimates: what work would cost (jobs-api.md 7.1)."""
        return self._call("POST", "/v1/estimates", body=request)

    def simulate(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """GET /v1/finops/simulate: what runs will cost (jobs-api.md 7.2)."""
        return self._call("GET", "/v1/finops/simulate", query=request)

    def kpi(self, **query: str | int | None) -> dict[str, Any]:
        """GET /api/v1/runtime/kpi (runs-api.md 8)."""
        return self._call("GET", "/api/v1/runtime/kpi", query=query)

    def model_catalog(self, **query: str | int | None) -> dict[str, Any]:
        """GET /api/v1/models/catalog (runs-api.md 10)."""
        return self._call("GET", "/api/v1/models/catalog", query=query)

    def evidence(self, run_id: str, **query: str | int | None) -> dict[str, Any]:
        """GET /api/v1/runs/{id}/evidence as a link: `{run_id, at_sequence, download}` (runs-api.md 7.1)."""
        place = f"/api/v1/runs/{quote(run_id, safe='')}/evidence"
        return self._call("GET", place, query={**query, "delivery": "link"})

    def download(self, url: str, out: IO[bytes]) -> None:
        """Write what a link leads to; another server than this one is not shown the token."""
        there, here = httpx.URL(url), self._http.base_url
        own = (there.scheme, there.host, there.port) == (here.scheme, here.host, here.port)
        try:
            with (
                self._http.stream("GET", url)
                if own
                else httpx.stream("GET", url, timeout=REQUEST_TIMEOUT) as got
            ):
                if not got.is_success:
                    raise CliFailure(f"the download answered {got.status_code}", code="download_failed")
                for chunk in got.iter_bytes():
                    out.write(chunk)
        except httpx.TransportError as exc:
            raise CliFailure("the download broke off", code="download_failed") from exc

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | int | None] | None = None,
    ) -> dict[str, Any]:
        """One call of another API of the same server; a POST has an idempotency key."""
        headers = {"Idempotency-Key": str(uuid4())} if method == "POST" else None
        return self._call(method, path, body=body, query=query, headers=headers)

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | int | None] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        left = max(0.1, min(REQUEST_TIMEOUT, self._deadline - self._monotonic()))
        request = self._http.build_request(
            method, path, json=body, params=given or None, headers=headers, timeout=left
        )
        until, delay = min(self._monotonic() + RETRY_SECONDS, self._deadline), FIRST_DELAY
        while True:
            answer, problem = self._once(request, body)
            if answer is not None and answer.status_code != 429 and answer.status_code < 500:
                return _content(answer, self._notice)
            pause = max(delay * (0.5 + self._jitter() / 2), _retry_after(answer))
            if self._monotonic() + pause > until:
                raise self._given_up(answer, problem)
            self._notice(f"{self._address}: {problem}; trying again in {pause:.1f} s")
            self._sleep(pause)
            delay = min(delay * 2, LONGEST_DELAY)

    def _once(
        self, request: httpx.Request, body: Mapping[str, Any] | None
    ) -> tuple[httpx.Response | None, str]:
        """The answer, or None and what went wrong. A refusal worth a retry comes with its words, too."""
        self._log.sent(request.method, str(request.url), request.headers, body)
        started = self._monotonic()
        try:
            answer = self._http.send(request)
        except httpx.TransportError as exc:
            problem = "timed out" if isinstance(exc, httpx.TimeoutException) else "cannot be reached"
            self._log.failed(f"{type(exc).__name__}: {exc}")
            return None, problem
        elapsed = self._monotonic() - started
        self._log.received(answer.status_code, elapsed, answer.headers.get("X-Request-Id", ""))
        return answer, f"answered {answer.status_code}"

    def _given_up(self, answer: httpx.Response | None, problem: str) -> CliFailure:
        if answer is not None:
            return refusal(answer)
        hint = "is it running? `rune serve` starts one, --api-base-url names another"
        return CliFailure(f"the server at {self._address} {problem}", code="server_unreachable", hint=hint)


def _retry_after(answer: httpx.Response | None) -> float:
    text = "" if answer is None else answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _content(answer: httpx.Response, notice: Callable[[str], None]) -> dict[str, Any]:
    if answer.is_redirect:
        raise CliFailure(
            "the server redirects; give its final address with --api-base-url", code="redirected"
        )
    if not answer.is_success:
        raise refusal(answer)
    ignored = answer.headers.get("Rune-Ignored-Fields", "")
    if ignored:
        notice(f"warning: the server ignored {ignored}")
    try:
        content = answer.json()
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise CliFailure(BAD_ANSWER, code="bad_answer")
    return content


def _field(content: Mapping[str, Any], name: str, kind: type[T]) -> T:
    found = content.get(name)
    if not isinstance(found, kind):
        raise CliFailure(BAD_ANSWER, code="bad_answer")
    return found
