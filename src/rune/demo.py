"""`make demo`: the real agent on a simulated cluster and model server, through the whole local stack."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rune.sandbox.kube import KubeSim, scenario_names
from rune.sandbox.ollama import OllamaSim

MODEL = "llama3.1:8b"
PRICES = {MODEL: {"input": 0.1, "output": 0.2}}
"""A price for the simulated model, so that the demo shows a cost; an unknown price would say `unpriced`."""

QUESTION = "What is unhealthy in this Kubernetes cluster?"
START_SECONDS = 60.0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m rune.demo", description=__doc__)
    parser.add_argument("--scenario", default="crash_loop", choices=sorted(scenario_names()))
    parser.add_argument("--question", default=QUESTION)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="rune-demo-") as folder:
        return _run(asked.scenario, asked.question, Path(folder))


def _run(scenario: str, question: str, folder: Path) -> int:
    with OllamaSim() as ollama, KubeSim(scenario) as cluster:
        kubeconfig = folder / "kubeconfig"
        cluster.write_kubeconfig(kubeconfig)
        print(f"Simulated cluster: {scenario}. Simulated model server: {MODEL}.", file=sys.stderr)
        with _server(folder) as environment:
            command = [sys.executable, "-m", "rune", "--backend", "http", "run-agentic-agent"]
            command += ["--question", question, "--model", MODEL, "--backend-url", ollama.url]
            command += ["--kubeconfig", str(kubeconfig)]
            return subprocess.run(command, env=environment, cwd=folder).returncode


@contextmanager
def _server(folder: Path) -> Iterator[Mapping[str, str]]:
    """A server on a free port with a token of its own; yields the environment of its client."""
    (folder / "prices.json").write_text(json.dumps(PRICES))
    token, port = secrets.token_urlsafe(32), _free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RUNE_")}
    kept = {name: os.environ[name] for name in ("RUNE_KUBECTL", "RUNE_AGENT_PYTHON") if name in os.environ}
    server = (
        inherited
        | kept
        | {
            "RUNE_API_TOKENS": f"default:{token}",
            "RUNE_API_PORT": str(port),
            "RUNE_DATA_DIR": str(folder / "state"),
            "RUNE_PRICE_BOOK": str(folder / "prices.json"),
            "RUNE_LOG_LEVEL": "WARNING",
        }
    )
    process = subprocess.Popen([sys.executable, "-m", "rune.api"], env=server)
    try:
        _wait(f"http://127.0.0.1:{port}/healthz", process)
        yield inherited | {"RUNE_API_TOKEN": token, "RUNE_API_BASE_URL": f"http://127.0.0.1:{port}"}
    finally:
        process.terminate()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the server did not start; see the message above")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    raise SystemExit(main())
