"""A client of the Jobs API, and a look into the store of a stopped server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.e2e.local_server import ROOT, eventually

from rune.local.database import LocalDatabase, find_binary
from rune_common.adapters.dynamodb import DynamoRunStore, connect
from rune_common.adapters.dynamodb_client import TableClient
from rune_common.adapters.files import FileBlobStore, KeyFileSealer
from rune_common.domain.chain import verify_chain
from rune_common.domain.events import Event
from rune_common.domain.ports import RunStore
from rune_common.settings import Settings

TERMINAL = frozenset({"succeeded", "failed", "cancelled"})
Json = dict[str, Any]


class Jobs:
    """Jobs of one server whose model server is `backend`."""

    def __init__(
        self, url: str, backend: str, *, token: str | None = None, tenant: str | None = None
    ) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"X-Tenant-ID": tenant} if tenant else {}
        self.backend = backend
        # No connection is kept, so there is none to close.
        limits = httpx.Limits(max_keepalive_connections=0)
        self.http = httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False, limits=limits)

    def post(self, question: str, /, *, key: str | None = None, **fields: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        body = {"question": question, "backend_url": self.backend, **fields}
        return self.http.post("/v1/jobs/agentic-agent", json=body, headers=headers)

    def submit(self, question: str, /, **fields: Any) -> str:
        answer = self.post(question, **fields)
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["job_id"]
        return job_id

    def get(self, job_id: str) -> Json:
        answer = self.http.get(f"/v1/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        job: Json = answer.json()
        return job

    def wait(self, job_id: str, *statuses: str, seconds: float = 90) -> Json:
        """The job once it has one of the statuses, or has ended."""

        def reached() -> Json | None:
            job = self.get(job_id)
            return job if job["status"] in TERMINAL.union(statuses) else None

        return eventually(reached, lambda: f"the end of {self.get(job_id)}", seconds=seconds) or {}

    def ask(self, question: str, /, **fields: Any) -> Json:
        return self.wait(self.submit(question, **fields))

    def until_message(self, job_id: str, message: str) -> None:
        eventually(lambda: self.get(job_id)["message"] == message, lambda: f"{message!r}: {self.get(job_id)}")

    def events(self, job_id: str) -> list[Json]:
        found: list[Json] = self.http.get(f"/v1/jobs/{job_id}/events").json()["events"]
        return found


def asked(record: Path) -> list[Json]:
    """Every call of the stand-in driver that has begun, in order."""
    lines = record.read_text().splitlines() if record.exists() else []
    return [line for line in map(json.loads, lines) if line["ended"] is None]


def most_at_once(record: Path) -> int:
    """How many calls of the stand-in driver overlapped."""
    ended = {
        line["pid"]: line["ended"]
        for line in map(json.loads, record.read_text().splitlines())
        if line["ended"]
    }
    calls = asked(record)
    moments = [(call["began"], 1) for call in calls] + [(ended[call["pid"]], -1) for call in calls]
    now = most = 0
    for _, change in sorted(moments):
        now += change
        most = max(most, now)
    return most


@contextmanager
def opened_store(data_dir: Path) -> Iterator[tuple[RunStore, TableClient]]:
    """The runs of a server that has ended, read from its files."""
    binary = find_binary(ROOT)
    assert binary is not None
    with LocalDatabase(binary, data_dir) as database:
        client = connect(region="us-east-1", endpoint=database.endpoint)
        store = DynamoRunStore(
            Settings().runs_table,
            client,
            sealer=KeyFileSealer(data_dir / "keys" / "requests.key"),
            blobs=FileBlobStore(data_dir / "blobs"),
            retention_days=90,
        )
        yield store, client


def whole_log(store: RunStore, job_id: str, tenant: str = "default") -> list[Event]:
    after, found = 0, list[Event]()
    while True:
        page = store.events(tenant, job_id, after=after)
        found += page.events
        if not page.more:
            return found
        after = found[-1].sequence


def assert_sound_log(events: Sequence[Event], job_id: str, tenant: str = "default") -> None:
    """The chain holds, one terminal event is the last, and every tool call has one result."""
    assert verify_chain(tenant, job_id, [event.body for event in events]) == []
    assert [event.terminal for event in events] == [False] * (len(events) - 1) + [True]
    calls = [event.document()["call_id"] for event in events if event.type == "tool_call"]
    assert sorted(calls) == sorted(e.document()["call_id"] for e in events if e.type == "tool_result")
