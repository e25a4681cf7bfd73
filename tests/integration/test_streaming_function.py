"""A function behind the Web Adapter, started as Lambda starts it: a web server that streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.integration.conftest import Tables
from tests.integration.run_samples import change_of, stored

from rune_common.adapters.dynamodb import DynamoRunStore, connect
from rune_common.adapters.memory import MemoryBlobStore, MemorySealer
from rune_common.domain.runs import RunState

TOKEN = "sample-token-of-at-least-32-characters"
START = """
import sys
from rune_common.http.lambda_entry import serve
from rune_common.http.routes import read_trace
serve(read_trace.router, port=int(sys.argv[1]))
"""


@pytest.fixture
def store(tables: Tables) -> DynamoRunStore:
    client = connect(region="us-east-1", endpoint=tables.endpoint)
    return DynamoRunStore(
        tables.runs, client, sealer=MemorySealer(), blobs=MemoryBlobStore(), retention_days=90
    )


@pytest.fixture
def function(tables: Tables, tmp_path: Path, unused_tcp_port: int) -> Iterator[httpx.Client]:
    variables = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL_DYNAMODB": tables.endpoint,
        "RUNE_RUNS_TABLE": tables.runs,
        "RUNE_IDENTITY_TABLE": tables.identity,
        "RUNE_DATA_DIR": str(tmp_path),
        "RUNE_API_TOKENS": f"default:{TOKEN}",
    }
    command = [sys.executable, "-c", START, str(unused_tcp_port)]
    process = subprocess.Popen(command, env=variables)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{unused_tcp_port}", timeout=30) as client:
            until = time.monotonic() + 60
            while True:
                try:
                    client.get("/")
                    break
                except httpx.TransportError:
                    assert process.poll() is None
                    assert time.monotonic() < until
                    time.sleep(0.05)
            yield client
    finally:
        process.terminate()
        process.wait()


def caller(ip: str) -> dict[str, str]:
    context = json.dumps({"identity": {"sourceIp": ip}})
    return {"x-amzn-request-context": context, "Authorization": f"Bearer {TOKEN}"}


def test_a_stream_is_passed_on_while_it_is_made(function: httpx.Client, store: DynamoRunStore) -> None:
    run = stored(store)
    with function.stream("GET", f"/v1/runs/{run.run_id}/trace", headers=caller("203.0.113.1")) as answer:
        assert answer.status_code == 200
        chunks = answer.iter_bytes()
        assert next(chunks) == b"retry: 2000\n\n"
        store.commit(change_of(run, "the end", state=RunState.SUCCEEDED, finished_at=run.created_at))
        # The store's own change writes no terminal event, so the stream goes on until its reader leaves.
        assert next(chunks) == b": keep-alive\n\n"


def test_callers_are_told_apart_by_the_gateways_word(function: httpx.Client) -> None:
    wrong = {"Authorization": "Bearer " + "x" * 40}
    for _ in range(10):
        answer = function.get("/v1/runs/r/trace", headers=caller("203.0.113.2") | wrong)
        assert answer.json()["code"] == "unauthorized"
    locked = function.get("/v1/runs/r/trace", headers=caller("203.0.113.2"))
    assert locked.json()["code"] == "auth_locked_out"
    assert function.get("/v1/runs/r/trace", headers=caller("203.0.113.3")).status_code == 404
