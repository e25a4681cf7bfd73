"""`run-agentic-agent`: ask the agent one question about a cluster (jobs-api.md 15)."""

from __future__ import annotations

from typing import Any

import typer

from rune.cli import options
from rune.cli.configuration import Configuration
from rune.cli.invocation import Invocation, current
from rune.cli.job_options import checked_key
from rune.cli.kubeconfig import kubeconfig_document
from rune.cli.printing import without_credentials
from rune_common.domain.runs import RunKind

COMMAND = "run-agentic-agent"


def run_agentic_agent(
    context: typer.Context,
    question: options.Question = None,
    model: options.Model = None,
    agent: options.Agent = None,
    backend_url: options.BackendUrl = None,
    backend_type: options.BackendType = None,
    backend_warmup: options.BackendWarmup = None,
    backend_warmup_timeout: options.BackendWarmupTimeout = None,
    kubeconfig: options.Kubeconfig = None,
    idempotency_key: options.IdempotencyKey = None,
    yes: options.Yes = None,
    timeout: options.Timeout = 3600,
    max_cost_usd: options.MaxCost = None,
    no_wait: options.NoWait = False,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Ask the agent what is wrong in a Kubernetes cluster and show how it found the answer.

    In local mode everything runs in this process; with `--backend http` it runs on a server. In http mode
    a kubeconfig is sent only if it is given by `--kubeconfig` or RUNE_KUBECONFIG. Ctrl-C cancels the job.
    """
    invocation = current(context)
    invocation.begin(COMMAND, json_output, debug)
    around, configuration = invocation.surroundings, invocation.configuration
    http = configuration.text("backend") == "http"
    key = checked_key(
        invocation, idempotency_key=idempotency_key, yes=yes, max_cost_usd=max_cost_usd, no_wait=no_wait
    )
    document = _document(
        configuration,
        question=question,
        model=model,
        agent=agent,
        backend_url=backend_url,
        backend_type=backend_type,
        backend_warmup=backend_warmup,
        backend_warmup_timeout=backend_warmup_timeout,
    )
    document["timeout_seconds"] = timeout
    if max_cost_usd is not None:
        document["max_cost_usd"] = max_cost_usd
    cluster = configuration.get("kubeconfig", kubeconfig)
    cluster_document = kubeconfig_document(cluster, http=http, home=around.home)
    _run(invocation, document, cluster_document, cluster.text, key, wait=not no_wait)


def _document(configuration: Configuration, **given: str | bool | int | None) -> dict[str, Any]:
    """The request of jobs-api.md 4.3; a value that nobody chose and that has no built-in one is left out."""
    settings = {name: configuration.get(name, option).value for name, option in given.items()}
    return {name: value for name, value in settings.items() if value is not None}


def _run(
    invocation: Invocation,
    document: dict[str, Any],
    cluster_document: str | None,
    cluster: str,
    key: str | None,
    *,
    wait: bool,
) -> None:
    from rune.cli.answer import show_answer, warning_lines
    from rune.cli.job_run import Errand, run_job

    facts = {
        "Question": str(document.get("question", "")),
        "Agent": str(document.get("agent", "")),
        "Model": f"{document.get('model', '')} ({document.get('backend_type', '')})",
        "Model server": without_credentials(str(document.get("backend_url", ""))),
        "Cluster": cluster if cluster_document is not None else "none",
    }
    errand = Errand(RunKind.AGENT, "Rune · agentic agent", facts, document, key, cluster_document, wait=wait)
    finished = run_job(invocation, errand)
    if finished is None:
        return
    result = finished.job.result or {}
    for line in warning_lines(result):
        invocation.note(line)
    if not invocation.json:
        show_answer(invocation.out, result, finished.events)
    invocation.succeed(job_id=finished.job.job_id, status=finished.job.status, result=result)
