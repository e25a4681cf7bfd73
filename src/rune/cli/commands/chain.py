"""`run-chain FILE`: several questions that build on each other (jobs-api.md 8, 15)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from rune.cli import options
from rune.cli.configuration import Configuration
from rune.cli.failures import CliFailure, JobFailed
from rune.cli.invocation import Invocation, current
from rune.cli.job_options import checked_key
from rune.cli.kubeconfig import kubeconfig_document
from rune.cli.printing import one_line, without_credentials
from rune_common.domain.runs import RunKind

COMMAND = "run-chain"
SETTINGS = ("model", "backend_url", "backend_type", "backend_warmup", "backend_warmup_timeout", "agent")
"""What a file that does not say it takes from the configuration."""

Timeout = Annotated[
    int | None,
    typer.Option(
        "--timeout",
        min=10,
        max=14_400,
        help="Seconds that the job may run. (default: the file's, else 3600)",
        show_default=False,
    ),
]


def run_chain(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="The chain, as YAML or JSON.", metavar="FILE")],
    model: options.Model = None,
    backend_url: options.BackendUrl = None,
    idempotency_key: options.IdempotencyKey = None,
    yes: options.Yes = None,
    timeout: Timeout = None,
    max_cost_usd: options.MaxCost = None,
    no_wait: options.NoWait = False,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Ask agents several questions, each with the answers to those before it.

    An option counts more than the file, the file more than environment and configuration. Steps that
    need nothing of each other run at the same time. With `vastai: true` in the file one rented GPU serves all
    of them. The exit code is 0 only if every step succeeded.
    """
    invocation = current(context)
    invocation.begin(COMMAND, json_output, debug)
    key = checked_key(
        invocation, idempotency_key=idempotency_key, yes=yes, max_cost_usd=max_cost_usd, no_wait=no_wait
    )
    around, configuration = invocation.surroundings, invocation.configuration
    chain = _read(around.working_directory / Path(file).expanduser(), file)
    given = {"model": model, "backend_url": backend_url}
    document = _document(chain, configuration, given) | {
        "timeout_seconds": timeout or chain.get("timeout_seconds", 3600)
    }
    if max_cost_usd is not None:
        document["max_cost_usd"] = max_cost_usd
    http = configuration.text("backend") == "http"
    cluster = None if chain.get("kubeconfig") else configuration.get("kubeconfig")
    cluster_document = kubeconfig_document(cluster, http=http, home=around.home) if cluster else None
    _run(invocation, document, cluster_document, key, yes=yes, wait=not no_wait)


def _read(path: Path, written: str) -> dict[str, Any]:
    """Raises CliFailure."""
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise CliFailure(f"{written} cannot be read: {exc.strerror}", code="file_not_readable") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise CliFailure(f"{written} is neither YAML nor JSON", code="invalid_file") from None
    if not isinstance(found, dict):
        raise CliFailure(f"{written} does not hold an object with `steps`", code="invalid_file")
    return found


def _document(
    chain: Mapping[str, Any], configuration: Configuration, given: Mapping[str, str | None]
) -> dict[str, Any]:
    """The file's fields, with options instead of them and the configuration where there are none."""
    known = dict(chain)
    for name in SETTINGS:
        option = given.get(name)
        if option is None and known.get(name) not in (None, ""):
            continue
        value = configuration.get(name, option).value
        if value is not None:
            known[name] = value
    return known


def _run(
    invocation: Invocation,
    document: dict[str, Any],
    cluster: str | None,
    key: str | None,
    *,
    yes: bool | None,
    wait: bool,
) -> None:
    from rune.cli.answer import show_answer, warning_lines
    from rune.cli.job_run import Errand, run_job

    facts = _facts(document, cluster)
    errand = Errand(RunKind.CHAIN, "Rune · chain", facts, document, key, cluster, yes, wait)
    try:
        finished = run_job(invocation, errand)
    except JobFailed as failed:
        _show_steps(invocation, failed.result or {})
        raise
    if finished is None:
        return
    result = finished.job.result or {}
    for line in warning_lines(result):
        invocation.note(line)
    _show_steps(invocation, result)
    if not invocation.json:
        show_answer(invocation.out, result, finished.events)
    invocation.succeed(job_id=finished.job.job_id, status=finished.job.status, result=result)


def _facts(document: Mapping[str, Any], cluster: str | None) -> dict[str, str]:
    steps = document.get("steps")
    names = (
        [str(each.get("name", "")) for each in steps if isinstance(each, dict)]
        if isinstance(steps, list)
        else []
    )
    return {
        "Steps": ", ".join(names),
        "Model": f"{document.get('model', '')} ({document.get('backend_type', '')})",
        "Model server": without_credentials(str(document.get("backend_url") or "")),
        "Cluster": "none" if cluster is None and not document.get("kubeconfig") else "given",
    }


def _show_steps(invocation: Invocation, result: Mapping[str, Any]) -> None:
    """How each step ended, in the order of the file."""
    from rich.table import Table

    steps = result.get("steps")
    if not isinstance(steps, Mapping) or not steps:
        return
    table = Table(title="Steps", title_justify="left", title_style="bold")
    for heading in ("Step", "Status", "Error"):
        table.add_column(heading, overflow="fold")
    for name, step in steps.items():
        facts = step if isinstance(step, Mapping) else {}
        cells = (str(name), str(facts.get("status") or ""), str(facts.get("error") or ""))
        table.add_row(*(one_line(cell) for cell in cells))
    invocation.err.print(table, highlight=False)
