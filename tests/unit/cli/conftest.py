"""A world for the command line: folders, a clock, streams and a scripted server, all in memory."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from rune.cli.entry import run
from rune.cli.job_view import TERMINAL_EVENTS
from rune.cli.surroundings import LocalJobs, Surroundings
from rune.local.booked_market import Proposed
from rune_common.domain.errors import ProviderNotConfigured
from rune_common.domain.gpu_market import GpuMarket

JOB = "01900000-0000-7000-8000-000000000001"
RESULT = {
    "answer": "The pod web-1 cannot pull its image.",
    "result_type": "report",
    "artifacts": [{"artifact_id": "a-1", "kind": "log", "name": "driver.log", "size_bytes": 1234}],
    "metadata": {"warnings": ["no_cluster_access"]},
    "telemetry": {"cost_usd": None, "unpriced": True},
    "token_usage": {"prompt_tokens": 1200, "completion_tokens": 34, "total_tokens": 1234},
}
ESTIMATE = {"projected_cost_usd": 3.0, "cost_driver": "vastai", "resource_impact": "medium", "warning": None}


class Stream(io.StringIO):
    """A stream that says of itself whether it is a terminal."""

    def __init__(self, terminal: bool = False) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


class Clock:
    """Time passes only by sleeping. `at` runs something when the n-th sleep begins, counted from 1."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []
        self.at: dict[int, Callable[[], None]] = {}

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if len(self.slept) in self.at:
            self.at[len(self.slept)]()

    def monotonic(self) -> float:
        return self.now


def event(seq: int, name: str, **more: Any) -> dict[str, Any]:
    shape = {"seq": seq, "event": name, "status": "ok", "duration_ms": 0, "labels": {}}
    return shape | {"recorded_at": 1.7e9, "message": ""} | more


def record(status: str, **more: Any) -> dict[str, Any]:
    shape = {"job_id": JOB, "kind": "agentic-agent", "status": status, "message": status, "created_at": 1.7e9}
    return shape | more


@dataclass
class FakeServer:
    """Answers the Jobs API: `records` one per GET, the last for ever; `new_events` come one list per read."""

    records: list[dict[str, Any]] = field(default_factory=list)
    new_events: list[list[dict[str, Any]]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    jobs: dict[str, Any] = field(default_factory=lambda: {"jobs": [], "next_cursor": None})
    requests: list[httpx.Request] = field(default_factory=list)
    failures: list[httpx.Response | Exception] = field(default_factory=list)
    on_cancel: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    estimate: dict[str, Any] = field(default_factory=lambda: dict(ESTIMATE))

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return failure
        path = request.url.path
        if path == "/v1/estimates":
            return httpx.Response(200, json=self.estimate)
        if path.endswith("/release"):
            return httpx.Response(202, json={"job_id": JOB, "status": "releasing"})
        if request.method == "POST":
            return httpx.Response(202, json={"job_id": JOB, "status": "accepted"})
        if request.method == "DELETE":
            self.records = self.on_cancel or self.records
            return httpx.Response(202, json={"job_id": JOB, "status": "cancelling"})
        if path == "/v1/jobs":
            return httpx.Response(200, json=self.jobs)
        if path == f"/v1/jobs/{JOB}/events":
            self.events += self.new_events.pop(0) if self.new_events else []
            after = int(request.url.params.get("after", "0"))
            page = [each for each in self.events if each["seq"] > after]
            return httpx.Response(200, json={"job_id": JOB, "events": page, "next_after": None})
        if path == f"/v1/runs/{JOB}/trace":
            return self.trace(int(request.headers.get("Last-Event-ID", "0")))
        if path == f"/v1/runs/{JOB}/artifacts":
            return httpx.Response(200, json={"run_id": JOB, "artifacts": self.artifacts()})
        if path.startswith(f"/v1/runs/{JOB}/artifacts/"):
            return httpx.Response(200, content=self.files[path.rpartition("/")[2].removeprefix("a-")])
        if path == f"/v1/jobs/{JOB}":
            found = self.records.pop(0) if len(self.records) > 1 else self.records[0]
            return httpx.Response(200, json=found)
        return httpx.Response(404, json={"error": "job not found", "code": "not_found"})

    def trace(self, known: int) -> httpx.Response:
        """Each connection tells what is new and breaks, unless the job's last event is among it."""
        self.events += self.new_events.pop(0) if self.new_events else []
        page = [each for each in self.events if each["seq"] > known]
        ended = bool(self.events) and self.events[-1]["event"] in TERMINAL_EVENTS
        if ended and not page:
            return httpx.Response(204)
        text = "retry: 2000\n\n: keep-alive\n\n"
        for each in page:
            data = json.dumps({"id": each["seq"], **each})
            text += f"id: {each['seq']}\nevent: log\ndata: {data}\n\n"
        text += f"id: {self.events[-1]['seq']}\nevent: end\ndata: {{}}\n\n" if ended else ""
        return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=text.encode())

    def artifacts(self) -> list[dict[str, Any]]:
        return [
            {
                "artifact_id": f"a-{name}",
                "kind": "log",
                "name": name,
                "size_bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
            for name, content in self.files.items()
        ]

    def of(self, method: str) -> list[httpx.Request]:
        return [request for request in self.requests if request.method == method]

    def body(self) -> dict[str, Any]:
        """What was posted last."""
        found: dict[str, Any] = json.loads(self.of("POST")[-1].content)
        return found


@dataclass
class FakeLocal:
    """The local stack as a fake: one job that has already ended."""

    records: list[dict[str, Any]] = field(default_factory=lambda: [record("succeeded", result=RESULT)])
    submitted: list[tuple[dict[str, Any], str | None, str | None]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    failure: Exception | None = None
    proposals: list[Proposed] = field(default_factory=list)
    decisions: list[bool] = field(default_factory=list)
    asks: bool = False
    opened: int = 0
    closed: int = 0

    @contextmanager
    def open(self, environ: Mapping[str, str], home: Path, *, asks: bool) -> Iterator[LocalJobs]:
        self.opened += 1
        self.asks = asks
        try:
            yield self
        finally:
            self.closed += 1

    def submit(
        self, document: dict[str, Any], kubeconfig: str | None, idempotency_key: str | None, *, kind: str
    ) -> str:
        if self.failure is not None:
            raise self.failure
        self.kinds.append(kind)
        self.submitted.append((document, kubeconfig, idempotency_key))
        return JOB

    def job(self, job_id: str) -> dict[str, Any]:
        return self.records.pop(0) if len(self.records) > 1 else self.records[0]

    def events(self, job_id: str, after: int) -> list[dict[str, Any]]:
        return [each for each in [event(1, "job.queued"), event(2, "job.succeeded")] if each["seq"] > after]

    @property
    def proposed(self) -> Proposed | None:
        return self.proposals[0] if self.proposals else None

    def decide(self, yes: bool) -> None:
        self.proposals.pop(0)
        self.decisions.append(yes)

    def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)
        self.records = [record("cancelled", error="Cancelled by user")]


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout; a second one, or none, is an error."""
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass
class World:
    home: Path
    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    server: FakeServer = field(default_factory=FakeServer)
    local: FakeLocal = field(default_factory=FakeLocal)
    clock: Clock = field(default_factory=Clock)
    served: list[tuple[str, int]] = field(default_factory=list)
    serve_code: int = 0
    market: GpuMarket | None = None
    now_ms: int = 1_760_000_000_000

    def run(self, *arguments: str, terminal: bool = False, answers: str = "") -> Ran:
        """`answers` is what a person types, with a line break after each."""
        out, err = Stream(terminal), Stream(terminal)
        typed = Stream(terminal)
        typed.write(answers)
        typed.seek(0)
        surroundings = Surroundings(
            environ=self.environ,
            working_directory=self.folder,
            home=self.home,
            stdout=out,
            stderr=err,
            sleep=self.clock.sleep,
            monotonic=self.clock.monotonic,
            transport=httpx.MockTransport(self.server.answer),
            open_local=self.local.open,
            open_market=self._market,
            serve=self._serve,
            stdin=typed,
            clock=lambda: self.now_ms,
        )
        code = run(arguments, surroundings)
        return Ran(code, out.getvalue(), err.getvalue())

    def http(self, *arguments: str, terminal: bool = False, answers: str = "") -> Ran:
        return self.run("--backend", "http", *arguments, terminal=terminal, answers=answers)

    def _market(self, environ: Mapping[str, str]) -> GpuMarket:
        if self.market is None:
            raise ProviderNotConfigured
        return self.market

    def _serve(self, host: str, port: int) -> int:
        self.served.append((host, port))
        return self.serve_code


@pytest.fixture
def world(tmp_path: Path) -> World:
    home, folder = tmp_path / "home", tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    return World(home, folder)


@pytest.fixture
def finished(world: World) -> World:
    """A world whose job runs a little, calls two tools and succeeds."""
    world.server.records = [
        record("queued", message="accepted"),
        record("running", message="asking agent", progress={"phase": "asking agent"}),
        record("running", message="asking agent", progress={"phase": "asking agent"}),
        record("succeeded", message="job completed", result=RESULT),
    ]
    world.server.new_events = [
        [event(1, "job.queued")],
        [event(5, "agent.tool_call", duration_ms=210.4, labels={"tool_name": "kubernetes_count"})],
        [event(7, "agent.tool_call", status="error", duration_ms=30, labels={"tool": "fetch_pod_logs"})],
        [event(9, "agent.ask", duration_ms=4100), event(11, "job.succeeded")],
    ]
    return world
