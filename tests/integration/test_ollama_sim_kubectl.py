"""The diagnostician against real kubectl on every built-in cluster: the right pod, cause and quoted line.

A minimal agent stands in for the real one: it runs the calls and words the results as HolmesGPT 0.45 does.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rune.sandbox.kube import KubeSim
from rune.sandbox.ollama import OllamaSim

NULLABLE = {"anyOf": [{"type": "string"}, {"type": "null"}]}
RULE = "=" * 80


def tool(name: str, *required: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": dict.fromkeys(required, NULLABLE), "required": list(required)}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


LOGS = tool(
    "fetch_pod_logs", "pod_name", "namespace", "start_time", "end_time", "limit", "filter", "exclude_filter"
)
SHELL = [tool("bash", "command", "suggested_prefixes", "timeout"), LOGS]
TABLES = [
    tool(
        "kubernetes_tabular_query",
        *("namespace", "label_selector", "field_selector", "filter_pattern", "kind", "columns"),
    ),
    LOGS,
]
ONLY_SHELL = SHELL[:1]


class Agent:
    """Asks the model, runs the tools it calls with kubectl on one cluster, and returns its answer."""

    def __init__(self, model_url: str, kubectl: str, kubeconfig: Path, folder: Path) -> None:
        self.url = model_url
        folder.mkdir()
        (folder / "kubectl").symlink_to(kubectl)
        self.env = {"KUBECONFIG": str(kubeconfig), "HOME": str(folder), "PATH": f"{folder}:/usr/bin:/bin"}

    def ask(self, question: str, tools: list[dict[str, Any]]) -> str:
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": "You are an SRE."},
            {"role": "user", "content": question},
        ]
        for _ in range(10):
            body = {"model": "llama3.1:8b", "messages": messages, "tools": tools, "stream": False}
            answer = httpx.post(
                f"{self.url}/api/chat",
                json={**body, "options": {"num_ctx": 65_536}},
                timeout=60,
                trust_env=False,
            )
            message = answer.json()["message"]
            messages.append(message)
            if not message.get("tool_calls"):
                return str(message["content"])
            messages += [{"role": "tool", "content": self.run(c["function"])} for c in message["tool_calls"]]
        raise AssertionError("the investigation does not end")

    def run(self, call: dict[str, Any]) -> str:
        name, arguments = call["name"], call["arguments"]
        runner = {"bash": self.bash, "fetch_pod_logs": self.logs, "kubernetes_tabular_query": self.table}[
            name
        ]
        metadata = json.dumps({"tool_name": name, "tool_call_id": "c-1"})
        return (
            f"Params used for the tool call: {json.dumps(arguments)}. "
            "The tool call output follows on the next line.\n"
            f"tool_call_metadata={metadata}{runner(arguments)}"
        )

    def bash(self, given: dict[str, Any]) -> str:
        code, text = self.output(["bash", "-c", given["command"]])
        failed = (
            f'Error: Command "{given["command"]}" returned non-zero exit status {code}:\n\n' if code else ""
        )
        return f"{failed}{given['command']}\n{text.strip()}"

    def logs(self, given: dict[str, Any]) -> str:
        words = ["kubectl", "logs", given["pod_name"], "-n", given["namespace"], "--all-containers=true"]
        read = [self.output([*words, *extra]) for extra in (["--previous"], [])]
        lines = "".join(text for code, text in read if code == 0)
        if not lines:
            return f"{read[-1][1].strip()}:\n\n"
        return (
            f"{lines.strip()}\n\n{RULE}\nLOG QUERY METADATA\n{RULE}\nLog source: Current and previous\n{RULE}"
        )

    def table(self, given: dict[str, Any]) -> str:
        scope = ["-n", given["namespace"]] if given["namespace"] else ["--all-namespaces"]
        columns = f"custom-columns={given['columns']}"
        code, text = self.output(["kubectl", "get", given["kind"], *scope, "-o", columns])
        if code:
            return json.dumps({"count": 0, "header": None, "rows": [], "stderr": text}, indent=2)
        header, *rows = text.rstrip("\n").split("\n")
        return json.dumps({"count": len(rows), "header": header, "rows": rows, "stderr": None}, indent=2)

    def output(self, words: list[str]) -> tuple[int, str]:
        done = subprocess.run(
            words,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout


@pytest.fixture
def model() -> Iterator[OllamaSim]:
    with OllamaSim() as running:
        yield running


EXPECTED = {
    "crash_loop": ("shop/cart-", "CrashLoopBackOff", "FATAL could not resolve host"),
    "oom_killed": ("shop/batch-", "OOMKilled", "128Mi"),
    "image_pull_error": ("shop/api-", "registry.test/api:9.9", "Failed to pull image"),
    "pending": ("shop/ml-", "FailedScheduling", "Insufficient memory"),
    "bad_config": ("shop/auth-", "config map auth-config is missing", 'configmap "auth-config" not found'),
    "not_ready": ("shop/search-", "Readiness probe failed", "503"),
    "evicted": ("shop/reports-", "Evicted", "The node was low on resource"),
}


@pytest.mark.parametrize("scenario", EXPECTED)
@pytest.mark.parametrize("tools", [SHELL, TABLES, ONLY_SHELL], ids=["shell", "tables", "only-shell"])
def test_each_cluster_is_diagnosed_by_name_and_cause(scenario, tools, model, kubectl, tmp_path):
    with KubeSim(scenario) as cluster:
        kubeconfig = cluster.write_kubeconfig(tmp_path / "kubeconfig")
        answer = Agent(model.url, str(kubectl), kubeconfig, tmp_path / "bin").ask("What is unhealthy?", tools)
    assert all(words in answer for words in EXPECTED[scenario])
    assert answer.count("**shop/") == 1
    assert "/coredns-" not in answer


@pytest.mark.parametrize("scenario", ["healthy", "completed"])
@pytest.mark.parametrize("tools", [SHELL, TABLES], ids=["shell", "tables"])
def test_a_cluster_without_trouble_has_no_findings(scenario, tools, model, kubectl, tmp_path):
    with KubeSim(scenario) as cluster:
        kubeconfig = cluster.write_kubeconfig(tmp_path / "kubeconfig")
        answer = Agent(model.url, str(kubectl), kubeconfig, tmp_path / "bin").ask("What is unhealthy?", tools)
    assert answer.startswith("No unhealthy pods found: ")


@pytest.mark.parametrize("tools", [SHELL, TABLES], ids=["shell", "tables"])
def test_every_trouble_of_a_mixed_cluster_is_found(tools, model, kubectl, tmp_path):
    with KubeSim("mixed") as cluster:
        kubeconfig = cluster.write_kubeconfig(tmp_path / "kubeconfig")
        answer = Agent(model.url, str(kubectl), kubeconfig, tmp_path / "bin").ask("What is unhealthy?", tools)
    assert all(f"**shop/{name}-" in answer for name in ("api", "auth", "batch", "cart", "ml", "search"))


@pytest.mark.parametrize("tools", [SHELL, TABLES], ids=["shell", "tables"])
@pytest.mark.parametrize(
    ("fault", "reason"), [("expired_token", "You must be logged in"), ("down", "refused")]
)
def test_a_cluster_that_cannot_be_asked_is_told_as_such(fault, reason, tools, model, kubectl, tmp_path):
    with KubeSim("crash_loop") as cluster:
        kubeconfig = cluster.write_kubeconfig(tmp_path / "kubeconfig")
        agent = Agent(model.url, str(kubectl), kubeconfig, tmp_path / "bin")
        if fault == "down":
            cluster.stop()
        else:
            cluster.fault(kind=fault)
        answer = agent.ask("What is unhealthy?", tools)
    assert answer.startswith("The cluster could not be inspected: ")
    assert reason in answer
