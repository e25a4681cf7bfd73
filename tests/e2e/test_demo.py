"""`python -m rune.demo`, which `make demo` runs: the real agent on a rented GPU, and the proofs after it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.holmes_driver import agent_python, kubectl

pytestmark = pytest.mark.agent

PATIENCE_SECONDS = 240


def demo(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "RUNE_KUBECTL": str(kubectl()),
        "RUNE_AGENT_PYTHON": str(agent_python()),
    }
    return subprocess.run(
        [sys.executable, "-m", "rune.demo", *words],
        env=environment,
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.mark.parametrize(
    ("scenario", "pod", "cause"),
    [("crash_loop", "shop/cart", "could not resolve host"), ("oom_killed", "shop/batch", "memory limit")],
)
def test_it_names_pod_and_cause_of_the_scenario_and_proves_that_the_rental_ended(
    tmp_path: Path, scenario: str, pod: str, cause: str
) -> None:
    ended = demo(tmp_path, "--scenario", scenario)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert pod in ended.stdout
    assert cause in ended.stdout
    for step in (
        "vastai.instance.create",
        "vastai.model.pull",
        "ollama.model.warmup",
        "vastai.instance.destroy",
    ):
        assert f"  • {step}" in ended.stderr
    assert "Cost: $0.00" in ended.stdout
    assert "1 rented, 1 ended, 0 left" in ended.stdout
    assert "Verified: run " in ended.stdout


def test_two_models_are_compared_in_one_table(tmp_path: Path) -> None:
    ended = demo(tmp_path, "--models", "llama3.1:8b,qwen2.5:14b")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = [line.split("│")[1:-1] for line in ended.stdout.splitlines() if line.startswith("│")]
    assert [row[0].strip() for row in rows] == ["llama3.1:8b", "qwen2.5:14b"]
    assert [row[1].strip() for row in rows] == ["yes", "yes"]
    assert all(row[4].strip().startswith("$0.00") for row in rows)
    assert "2 rented, 2 ended, 0 left" in ended.stdout
