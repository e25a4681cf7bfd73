"""Preflight of the cluster with the real kubectl (holmes-driver.md 3.3, check 6). Standard library only."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rune_agent.problems import AgentProblem

SECONDS = 5
_UNAUTHORISED = re.compile(r"unauthorized|must be logged in|provide credentials", re.IGNORECASE)
_FORBIDDEN = re.compile(r"forbidden", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """`everywhere`: pods of all namespaces can be listed. `broad`: more rights than reading needs."""

    everywhere: bool
    broad: bool


def check(kubectl: str | None, environment: dict[str, str]) -> ClusterAccess:
    """Raises AgentProblem `cluster_unreachable` or `cluster_auth`."""
    if kubectl is None:
        raise AgentProblem("cluster_unreachable", "kubectl is not installed where the agent runs")
    version = _run(kubectl, environment, "get", "--raw", "/version")
    if version.returncode != 0:
        if _UNAUTHORISED.search(version.stderr):
            raise AgentProblem("cluster_auth", "the cluster refused the credentials")
        if not _FORBIDDEN.search(version.stderr):
            raise AgentProblem("cluster_unreachable", "the cluster cannot be reached")
    questions = (("list", "pods", "-A"), ("list", "pods"), ("get", "secrets", "-A"), ("delete", "pods", "-A"))
    with ThreadPoolExecutor(len(questions)) as pool:
        answers = list(pool.map(lambda q: _run(kubectl, environment, "auth", "can-i", *q), questions))
    if any(_UNAUTHORISED.search(answer.stderr) for answer in answers):
        raise AgentProblem("cluster_auth", "the cluster refused the credentials")
    everywhere, here, secrets, deletes = (answer.stdout.strip().startswith("yes") for answer in answers)
    if not everywhere and not here:
        raise AgentProblem("cluster_auth", "the credentials may not list pods")
    return ClusterAccess(everywhere, secrets or deletes)


def _run(kubectl: str, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [kubectl, *arguments, f"--request-timeout={SECONDS}s"]
    try:
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS + 1,
        )
    except (subprocess.TimeoutExpired, OSError) as exc:
        raise AgentProblem("cluster_unreachable", "the cluster did not answer in time") from exc
