"""`rune runs …` against the local server (runs-api.md 18: 10)."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from tests.e2e.local_server import LocalServer
from tests.e2e.runs_client import EXTERNAL, Runs, draft


@pytest.fixture
def runs(server: LocalServer) -> Runs:
    return Runs(server.url)


def rune(server: LocalServer, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rune", "--backend", "http", "--api-base-url", server.url, *arguments]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(server.home), "COLUMNS": "200"}
    return subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=60, env=environment, cwd=server.folder
    )


def result(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["result"]


def test_a_run_is_created_listed_shown_and_cancelled(server: LocalServer) -> None:
    body = json.dumps({**EXTERNAL, "labels": {"a": "1"}})
    made = result(rune(server, "runs", "create", "--request", "-", "--label", "b=2", "--json", text=body))
    assert made["labels"] == {"a": "1", "b": "2"}
    listed = rune(server, "runs", "list", "--repo", "demo")
    assert made["run_id"] in listed.stdout
    shown = rune(server, "runs", "status", made["run_id"])
    assert f"Run:       {made['run_id']}" in shown.stdout
    assert "Status:    running" in shown.stdout
    ended = rune(server, "runs", "cancel", made["run_id"], "--force")
    assert ended.stdout.strip() == f"{made['run_id']}: cancelled"
    events = result(rune(server, "runs", "events", made["run_id"], "--types", "run_started", "--json"))[
        "events"
    ]
    assert [event["type"] for event in events] == ["run_started", "run_cancelled"]


def test_watching_shows_each_event_once_and_ends_with_the_run(server: LocalServer, runs: Runs) -> None:
    run_id = runs.create()["run_id"]
    writer = threading.Thread(target=_work, args=(Runs(server.url), run_id))
    writer.start()
    done = rune(server, "runs", "watch", run_id)
    writer.join()
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(1, len(lines) + 1))
    assert "run_completed" in lines[-1]


def _work(runs: Runs, run_id: str) -> None:
    for number in range(10):
        runs.append(run_id, draft(f"k{number}"))
        time.sleep(0.05)
    runs.post(run_id, "complete", {"stop_class": "clean"})


def test_a_run_that_failed_is_an_exit_code_and_a_refusal_is_shown(server: LocalServer, runs: Runs) -> None:
    run_id = runs.create()["run_id"]
    runs.post(run_id, "complete", {"status": "failed", "stop_class": "infra_error"})
    failed = rune(server, "runs", "watch", run_id, "--json")
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["status"] == "failed"
    refused = rune(server, "runs", "create", "--kind", "agent")
    assert refused.returncode == 1
    assert "question is required" in refused.stderr
    unknown = rune(server, "runs", "status", "nothing")
    assert "no such run" in unknown.stderr
    assert rune(server, "runs", "create", "--request", "-", text="[]").returncode == 2
