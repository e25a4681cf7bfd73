"""`python -m rune.sandbox`: start simulators and tell how to reach them (holmes-driver.md 6)."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import yaml

from rune.sandbox.kube import KubeSim
from rune.sandbox.ollama import OllamaSim
from rune.sandbox.simulator import SandboxRefused, refuse_in_aws
from rune.sandbox.vast import VastSim

REFUSED, BAD_INPUT, TAKEN = 3, 2, 1
"""Exit codes: inside AWS; an unknown scenario or unreadable file; a port that cannot be had."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is printed once everything runs: addresses by name, and variables to export."""

    urls: Mapping[str, str]
    exports: Mapping[str, str]

    def write(self, out: TextIO) -> None:
        """One JSON line, then one `export` line for each variable."""
        print(json.dumps(dict(self.urls)), file=out)
        for name, value in self.exports.items():
            print(f"export {name}={shlex.quote(value)}", file=out)
        out.flush()


def main(
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    out: TextIO = sys.stdout,
    wait: Callable[[], None] | None = None,
) -> int:
    """Run until a signal comes (or `wait` returns) and give the process's exit code."""
    options = _parser().parse_args(argv)
    try:
        refuse_in_aws(environ)
        wait = wait or _until_signalled()
        with _started(options) as announcement:
            announcement.write(out)
            wait()
    except SandboxRefused as exc:
        print(f"rune.sandbox: {exc}", file=sys.stderr)
        return REFUSED
    except (ValueError, FileNotFoundError, yaml.YAMLError) as exc:
        print(f"rune.sandbox: {exc}", file=sys.stderr)
        return BAD_INPUT
    except OSError as exc:
        print(f"rune.sandbox: {exc}", file=sys.stderr)
        return TAKEN
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rune.sandbox", description="Simulators for offline trial."
    )
    actions = parser.add_subparsers(dest="action", required=True)
    up = actions.add_parser("up", help="all simulators on free ports, with a kubeconfig")
    ollama = actions.add_parser("ollama", help="the model server only")
    kube = actions.add_parser("kube", help="the Kubernetes API only, with a kubeconfig")
    vast = actions.add_parser("vast", help="the GPU market, with a model server behind what is rented")
    for single in (ollama, kube, vast):
        single.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    for clustered in (up, kube):
        source = clustered.add_mutually_exclusive_group()
        source.add_argument("--scenario", default="mixed", help="a built-in cluster (default: mixed)")
        source.add_argument("--cluster", type=Path, help="a YAML file that describes the cluster")
        clustered.add_argument("--kubeconfig", type=Path, help="where to write the kubeconfig")
    for renting in (up, vast):
        renting.add_argument(
            "--boot-seconds", type=float, default=1.0, help="until a rented instance runs (default: 1)"
        )
    for modelled in (up, ollama, vast):
        modelled.add_argument("--script", type=Path, help="a YAML file of scripted conversations")
    return parser


@contextmanager
def _started(options: argparse.Namespace) -> Iterator[Announcement]:
    urls: dict[str, str] = {}
    exports: dict[str, str] = {}
    port = getattr(options, "port", 0)
    with ExitStack() as stack:
        if options.action in ("up", "ollama", "vast"):
            own_port = 0 if options.action == "vast" else port
            ollama = stack.enter_context(OllamaSim(port=own_port, scenarios=options.script))
            urls["ollama"] = exports["OLLAMA_API_BASE"] = ollama.url
        if options.action in ("up", "kube"):
            cluster = stack.enter_context(KubeSim(options.cluster or options.scenario, port=port))
            path = options.kubeconfig
            if path is None:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rune-sandbox-"))
                path = Path(folder) / "kubeconfig"
            cluster.write_kubeconfig(path)
            urls["kubernetes"] = cluster.url
            urls["kubeconfig"] = exports["KUBECONFIG"] = str(path)
        if options.action in ("up", "vast"):
            market = stack.enter_context(VastSim(ollama=ollama, port=port, boot_seconds=options.boot_seconds))
            urls["vast"] = exports["RUNE_VASTAI_BASE_URL"] = market.url
            exports["VAST_API_KEY"] = market.api_key
        yield Announcement(urls, exports)


def _until_signalled() -> Callable[[], None]:
    """From now on SIGINT and SIGTERM end the wait that is returned, even one that has not begun."""
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())

    def wait() -> None:
        asked.wait()

    return wait
