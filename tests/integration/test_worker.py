"""The worker process: it takes up what is stored, comes back when it is killed, and ends with its server."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tests.integration.conftest import REGION, Tables
from tests.integration.run_samples import new_run

from rune.local.server import Worker
from rune.sandbox.ollama.server import OllamaSim
from rune_common.adapters.dynamodb import DynamoRunStore
from rune_common.adapters.dynamodb_client import TableClient
from rune_common.adapters.files import FileBlobStore, KeyFileSealer
from rune_common.domain.ports import RunRequest
from rune_common.domain.runs import Run, RunState
from rune_common.settings import Settings

PATIENCE_SECONDS = 60.0
DRIVER = """
import json, sys
request = json.loads(sys.stdin.readline())
print(json.dumps({"status": "ok", "id": request["id"], "result": {"answer": request["params"]["question"]}}))
"""


@pytest.fixture
def settings(tables: Tables, tmp_path: Path) -> Settings:
    return Settings(
        runs_table=tables.runs,
        identity_table=tables.identity,
        dynamodb_endpoint=tables.endpoint,
        region=REGION,
        data_dir=str(tmp_path / "data"),
        deployment_id="this-stack",
        holmes_driver_command=shlex.join([sys.executable, "-S", "-c", DRIVER]),
        backend_allowlist=("127.0.0.0/8",),
    )


@pytest.fixture
def store(settings: Settings, table_clients: dict[str, TableClient]) -> DynamoRunStore:
    folder = Path(settings.data_dir)
    return DynamoRunStore(
        settings.runs_table,
        table_clients["pydynox"],
        sealer=KeyFileSealer(folder / "keys" / "requests.key"),
        blobs=FileBlobStore(folder / "blobs"),
        retention_days=90,
    )


@pytest.fixture
def ollama() -> Iterator[OllamaSim]:
    with OllamaSim() as simulator:
        yield simulator


@pytest.fixture
def worker(settings: Settings) -> Iterator[Worker]:
    found = Worker(settings.environment() | {"HOME": settings.data_dir})
    found.start()
    yield found
    found.stop()


def queued(store: DynamoRunStore, backend: str) -> Run:
    run, events = new_run(at=time.time_ns() // 1_000_000, model="llama3.1:8b")
    document = {"question": "what is wrong?", "model": "llama3.1:8b", "backend_url": backend}
    store.create(run, RunRequest(document), events)
    return run


def until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def ended(store: DynamoRunStore, run: Run) -> Run:
    def found() -> Run:
        now = store.get(run.tenant, run.run_id)
        assert now is not None
        return now

    until(lambda: found().terminal)
    return found()


def workers() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [
        each
        for each in children
        if each.status() != psutil.STATUS_ZOMBIE and "rune.local.worker" in each.cmdline()
    ]


def test_a_run_that_was_queued_before_the_worker_started_is_carried_out(
    store: DynamoRunStore, ollama: OllamaSim, settings: Settings
) -> None:
    run = queued(store, ollama.url)
    worker = Worker(settings.environment() | {"HOME": settings.data_dir})
    worker.start()
    try:
        found = ended(store, run)
    finally:
        worker.stop()
    assert (found.state, found.error, found.owner) == (RunState.SUCCEEDED, None, "this-stack")
    result = store.result(run.tenant, run.run_id)
    assert result is not None
    assert result["answer"] == "what is wrong?"


def test_a_run_that_is_queued_later_is_carried_out_also_by_a_worker_that_came_back(
    worker: Worker, store: DynamoRunStore, ollama: OllamaSim
) -> None:
    assert ended(store, queued(store, ollama.url)).state is RunState.SUCCEEDED
    (before,) = workers()
    before.kill()
    until(lambda: any(each.pid != before.pid for each in workers()))
    assert ended(store, queued(store, ollama.url)).state is RunState.SUCCEEDED


def test_a_stopped_worker_is_not_started_again(settings: Settings) -> None:
    worker = Worker(settings.environment() | {"HOME": settings.data_dir})
    worker.start()
    until(lambda: len(workers()) == 1)
    worker.stop()
    assert workers() == []


def started(settings: Settings) -> subprocess.Popen[bytes]:
    """A worker whose server is this test."""
    environment = settings.environment() | {"HOME": settings.data_dir, "RUNE_LOG_LEVEL": "INFO"}
    command = [sys.executable, "-m", "rune.local.worker"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


@pytest.mark.parametrize("settled", [True, False], ids=["working", "starting"])
def test_a_worker_ends_when_its_server_is_gone(
    settings: Settings, store: DynamoRunStore, settled: bool
) -> None:
    with started(settings) as process:
        if settled:
            run = queued(store, "http://127.0.0.1:1")
            until(lambda: (store.get(run.tenant, run.run_id) or run).state is RunState.RUNNING)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE_SECONDS) == 0


def test_a_worker_ends_by_sigterm_and_leaves_sigint_to_its_server(
    settings: Settings, store: DynamoRunStore
) -> None:
    with started(settings) as process:
        run = queued(store, "http://127.0.0.1:1")
        until(lambda: (store.get(run.tenant, run.run_id) or run).state is RunState.RUNNING)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
        assert process.stderr is not None
        lines = process.stderr.read().decode().splitlines()
    assert all("Traceback" not in json.loads(line).get("traceback", "") for line in lines)


def test_the_workers_environment_is_what_it_was_given(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET_OF_THE_SERVER", "never")
    until(lambda: len(workers()) == 1)
    assert "A_SECRET_OF_THE_SERVER" in os.environ
    assert "A_SECRET_OF_THE_SERVER" not in workers()[0].environ()
