"""The patches of the pinned library, tested in the agent's own environment."""

from __future__ import annotations

import re
import subprocess

import pytest
from tests.e2e.holmes_driver import ROOT, agent_python

pytestmark = pytest.mark.agent


@pytest.fixture(scope="module")
def report() -> dict[str, str]:
    """What became of each test there, by its name."""
    ended = subprocess.run(
        [agent_python(), "-W", "ignore", "-m", "unittest", "-v", "-b", "tests.test_patches"],
        cwd=ROOT / "containers/agent",
        env={"PATH": "/usr/bin:/bin", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
    )
    found = dict(re.findall(r"^(test_\w+) \(.*\) \.\.\. (\w+)$", ended.stderr, re.MULTILINE))
    assert (ended.returncode, bool(found)) == (0, True), ended.stderr[-4_000:]
    return found


@pytest.mark.parametrize("patch", ["version_guard", "p1", "p2", "p3", "p4", "p5"])
def test_each_patch_is_in_place_and_does_its_work(report: dict[str, str], patch: str) -> None:
    outcomes = [outcome for name, outcome in report.items() if name.startswith(f"test_{patch}_")]
    assert outcomes
    assert set(outcomes) == {"ok"}
