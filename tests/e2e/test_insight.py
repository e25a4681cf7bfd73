"""KPI and the model catalog of the local server, after runs of its own (runs-api.md 8, 10)."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.jobs_client import Jobs
from tests.e2e.local_server import LocalServer, eventually

from rune.sandbox.ollama.server import OllamaSim

MODEL = "llama3.1:8b"


@pytest.fixture(scope="module")
def server_environment(ollama: OllamaSim) -> dict[str, str]:
    return {"RUNE_BACKEND_URL": ollama.url}


def metrics(jobs: Jobs) -> dict[str, dict[str, Any]]:
    now = datetime.now(UTC).isoformat()
    answer = jobs.http.get("/api/v1/runtime/kpi", params={"as_of": now})
    assert answer.status_code == 200, answer.text
    return {each["key"]: each for each in answer.json()["metrics"]}


def runs_total(jobs: Jobs) -> int:
    found: int = metrics(jobs)["runs_total"]["compare"]
    return found


def test_an_ended_run_is_counted_once_and_its_model_gains_by_it(jobs: Jobs) -> None:
    before = runs_total(jobs)
    assert jobs.ask("what is wrong?", model=MODEL)["status"] == "succeeded"
    eventually(lambda: runs_total(jobs) == before + 1, "the run's row")
    found = metrics(jobs)
    assert found["success_rate"]["compare"] == 1
    assert found["duration_p50_ms"]["compare"] > 0
    assert found["time_to_first_event_p50_ms"]["n_compare"] == before + 1
    answer = jobs.http.get("/api/v1/models/catalog", params={"role": "orchestrator"})
    [model] = [each for each in answer.json()["models"] if each["model_id"] == MODEL]
    assert model["availability"] == {"available": True, "credential_mode": "local", "reason_code": None}
    assert model["evidence"]["runs"] == before + 1
    assert model["score_breakdown"]["affinity"] == 1
    again = jobs.http.get(
        "/api/v1/models/catalog",
        params={"role": "orchestrator"},
        headers={"If-None-Match": answer.headers["ETag"]},
    )
    assert again.status_code == 304


def test_the_command_line_shows_both(jobs: Jobs, server: LocalServer, tmp_path: Path) -> None:
    def rune(*arguments: str) -> dict[str, Any]:
        ran = subprocess.run(
            [
                sys.executable,
                "-m",
                "rune",
                "--backend",
                "http",
                "--api-base-url",
                server.url,
                "--json",
                *arguments,
            ],
            env={"PATH": server.environment["PATH"], "HOME": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        found: dict[str, Any] = json.loads(ran.stdout)["result"]
        return found

    assert rune("kpi", "--compare-days", "1")["windows"]["compare"]["days"] == 1
    every = {each["model_id"]: each for each in rune("models", "--all")["models"]}
    assert every["gpt-4o"]["availability"]["reason_code"] == "NO_CREDENTIAL"
