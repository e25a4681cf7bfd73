"""`make demo`: the real agent on a rented GPU that does not exist, about a cluster that does not either.

A benchmark through the whole local stack: rent, pull, ask, hand back; then what the provider's ledger says
about the rental, and whether the run's evidence stands up to its verifier. `--models a,b` compares models.
Exit code 0: all of that held.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rune.local.demo_server import DemoServer
from rune.sandbox.kube import KubeSim, scenario_names
from rune.sandbox.ollama import OllamaSim
from rune.sandbox.vast import VastSim

MODEL = "llama3.1:8b"
QUESTION = "What is unhealthy in this Kubernetes cluster?"
INSTALLED = "tiny:1b"
"""What the rented server has already: any other model has to be pulled."""

BOOT_SECONDS = 2.0
MAX_DPH = 1.0
LIMIT_SECONDS = 600
WELL = frozenset({"healthy", "completed"})


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m rune.demo", description=__doc__)
    parser.add_argument("--scenario", default="crash_loop", choices=sorted(scenario_names()))
    parser.add_argument("--question", default=QUESTION)
    parser.add_argument("--models", default=MODEL, help="one model, or several with commas between them")
    asked = parser.parse_args(arguments)
    models = [name.strip() for name in asked.models.split(",") if name.strip()]
    if not models:
        parser.error("--models needs a name")
    with (
        tempfile.TemporaryDirectory(prefix="rune-demo-") as folder,
        OllamaSim(models=[INSTALLED]) as ollama,
        VastSim(ollama=ollama, boot_seconds=BOOT_SECONDS) as market,
        KubeSim(asked.scenario) as cluster,
    ):
        place = Path(folder)
        cluster.write_kubeconfig(place / "kubeconfig")
        _tell(
            f"Simulated cluster: {asked.scenario}. Simulated GPU market and model server; the agent is real."
        )
        settings = {
            "VAST_API_KEY": market.api_key,
            "RUNE_VASTAI_BASE_URL": market.url,
            "RUNE_VASTAI_POLL_SECONDS": "1",
            "RUNE_VASTAI_MIN_INTERVAL": "0",
        }
        with DemoServer(place, os.environ, settings) as server:
            trial = Trial(server, market, cluster, place, asked.question)
            return trial.one(models[0]) if len(models) == 1 else trial.several(models)


@dataclass(frozen=True, slots=True)
class Trial:
    server: DemoServer
    market: VastSim
    cluster: KubeSim
    folder: Path
    question: str

    def one(self, model: str) -> int:
        """Everything in the open: the command that a user would type, then the proofs."""
        code = self._rune(*self._benchmark(model)).returncode
        returned = self._ledger(rentals=1)
        if code:
            return code
        return 0 if self._evidence() and returned else 1

    def several(self, models: Sequence[str]) -> int:
        """The same question to each, at the same time, and one table."""
        with ThreadPoolExecutor(len(models)) as pool:
            answers = list(pool.map(self._quietly, models))
        _show_table(models, answers, [self._found(answer) for answer in answers])
        returned = self._ledger(rentals=len(models))
        return 0 if returned and all(answer.get("ok") for answer in answers) else 1

    def _benchmark(self, model: str) -> list[str]:
        words = ["run-benchmark", "--vastai", "--vastai-min-dph", "0", "--vastai-max-dph", str(MAX_DPH)]
        words += ["--model", model, "--question", self.question, "--timeout", str(LIMIT_SECONDS)]
        return [*words, "--kubeconfig", str(self.folder / "kubeconfig")]

    def _rune(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self._command(*words), env=self.server.client, cwd=self.folder, text=True)

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "rune", "--backend", "http", *words]

    def _quietly(self, model: str) -> dict[str, Any]:
        """The benchmark's one JSON object; what goes on meanwhile is told behind the model's name."""
        with subprocess.Popen(
            self._command("--json", *self._benchmark(model)),
            env=self.server.client,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            telling = threading.Thread(target=_tell_lines, args=(model, process.stderr))
            telling.start()
            answer: dict[str, Any] = json.loads(process.stdout.read() or "{}")
            telling.join()
        return answer

    def _found(self, answer: Mapping[str, Any]) -> bool:
        """Whether the answer names every workload that is not well, or that there is none."""
        text = str((answer.get("result") or {}).get("answer") or "")
        workloads: Any = self.cluster.state()["workloads"]
        ill = [f"{each['namespace']}/{each['name']}" for each in workloads if each["state"] not in WELL]
        return all(name in text for name in ill) if ill else "No unhealthy" in text

    def _ledger(self, *, rentals: int) -> bool:
        """Whether the provider charges for nothing any more, in its own words."""
        print("\nThe provider's ledger")
        entries = [each for each in self.market.ledger if not each.foreign]
        for each in entries:
            end = "still rented" if each.released_at is None else "ended"
            price = f"${each.dph:.2f}/h for {each.seconds:.1f} s = ${each.cost_usd:.6f}"
            print(f"  contract {each.id}: {price}, {end}")
        left = sum(each.released_at is None for each in entries)
        print(f"  {len(entries)} rented, {len(entries) - left} ended, {left} left")
        sys.stdout.flush()
        return left == 0 and len(entries) >= rentals

    def _evidence(self) -> bool:
        """Whether the last run's bundle stands up to its verifier with the key that the server publishes."""
        print("\nEvidence of the run")
        sys.stdout.flush()
        (self.folder / "keys.json").write_bytes(self.server.get("/api/v1/runtime/evidence-keys"))
        run_id = json.loads(self.server.get("/v1/jobs?limit=1"))["jobs"][0]["job_id"]
        exported = self._rune("evidence", "export", run_id, "--output", "bundle.zip")
        if exported.returncode:
            return False
        return self._rune("evidence", "verify", "bundle.zip", "--key", "keys.json").returncode == 0


def _show_table(models: Sequence[str], answers: Sequence[Mapping[str, Any]], found: Sequence[bool]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Side by side", title_justify="left")
    table.add_column("Model")
    table.add_column("Answer found")
    for heading in ("Seconds", "Tokens", "Cost"):
        table.add_column(heading, justify="right")
    for model, answer, right in zip(models, answers, found, strict=True):
        result = answer.get("result") or {}
        took = sum(each.get("duration_ms", 0) for each in result.get("phases") or []) / 1000
        tokens = (result.get("token_usage") or {}).get("total_tokens")
        cost = (result.get("telemetry") or {}).get("cost_usd")
        table.add_row(
            model,
            ("yes" if right else "no") if answer.get("ok") else str(answer.get("error", "no answer")),
            f"{took:.1f}",
            "unknown" if tokens is None else f"{tokens:,}",
            "unpriced" if cost is None else f"${cost:.6f}",
        )
    print()
    Console().print(table)


def _tell_lines(model: str, lines: Any) -> None:
    for line in lines:
        if line.startswith(("…", "✗", "Error", "  •  agent.tool_call", "  • agent.tool_call")):
            _tell(f"{model:<14} {line.rstrip()}")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
