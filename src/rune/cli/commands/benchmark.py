"""`run-benchmark`: ask one question of a model, on a given server or on a rented GPU (jobs-api.md 4.10, 15)."""

from __future__ import annotations

import typer

from rune.cli import options, rental_options
from rune.cli.failures import JobFailed
from rune.cli.invocation import current
from rune.cli.job_options import checked_key
from rune.cli.kubeconfig import kubeconfig_document
from rune.cli.printing import dollars, without_credentials
from rune_common.domain.runs import RunKind

COMMAND = "run-benchmark"


def run_benchmark(
    context: typer.Context,
    question: options.Question = None,
    model: options.Model = None,
    agent: options.Agent = None,
    backend_url: options.BackendUrl = None,
    backend_type: options.BackendType = None,
    backend_warmup: options.BackendWarmup = None,
    backend_warmup_timeout: options.BackendWarmupTimeout = None,
    kubeconfig: options.Kubeconfig = None,
    vastai: rental_options.Vastai = None,
    vastai_template: rental_options.Template = None,
    vastai_min_dph: rental_options.MinDph = None,
    vastai_max_dph: rental_options.MaxDph = None,
    vastai_reliability: rental_options.Reliability = None,
    vastai_stop_instance: rental_options.StopInstance = None,
    lease_seconds: rental_options.LeaseSeconds = 3600,
    idempotency_key: options.IdempotencyKey = None,
    yes: options.Yes = None,
    timeout: options.Timeout = 3600,
    max_cost_usd: options.MaxCost = None,
    no_wait: options.NoWait = False,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Ask a model one question and tell how long each phase took and what it cost.

    With `--vastai` the cheapest GPU that fits is rented, the model pulled onto it, the question asked and the
    GPU handed back, whatever happens in between. Without it the model server is the one of `--backend-url`.
    """
    from rune.cli.answer import show_answer, warning_lines
    from rune.cli.job_run import Errand, run_job
    from rune.cli.rental_view import show_benchmark

    invocation = current(context)
    invocation.begin(COMMAND, json_output, debug)
    around, configuration = invocation.surroundings, invocation.configuration
    key = checked_key(
        invocation, idempotency_key=idempotency_key, yes=yes, max_cost_usd=max_cost_usd, no_wait=no_wait
    )
    rental = rental_options.rental_fields(
        configuration,
        vastai=vastai,
        template=vastai_template,
        min_dph=vastai_min_dph,
        max_dph=vastai_max_dph,
        reliability=vastai_reliability,
    )
    given = {
        "question": question,
        "model": model,
        "agent": agent,
        "backend_warmup": backend_warmup,
        "backend_warmup_timeout": backend_warmup_timeout,
    } | ({} if rental["vastai"] else {"backend_url": backend_url, "backend_type": backend_type})
    settings = {name: configuration.get(name, option).value for name, option in given.items()}
    document = {name: value for name, value in settings.items() if value is not None} | rental
    document["timeout_seconds"] = timeout
    if rental["vastai"]:
        document["vastai_stop_instance"] = configuration.flag("vastai_stop_instance", vastai_stop_instance)
        document["lease_seconds"] = lease_seconds
    if max_cost_usd is not None:
        document["max_cost_usd"] = max_cost_usd
    cluster = configuration.get("kubeconfig", kubeconfig)
    http = configuration.text("backend") == "http"
    cluster_document = kubeconfig_document(cluster, http=http, home=around.home)
    facts = {
        "Question": str(document["question"]),
        "Agent": str(document["agent"]),
        "Model": str(document["model"]),
        "Model server": _place(document),
        "Cluster": cluster.text if cluster_document is not None else "none",
    }
    errand = Errand(
        RunKind.BENCHMARK, "Rune · benchmark", facts, document, key, cluster_document, yes, not no_wait
    )
    try:
        finished = run_job(invocation, errand)
    except JobFailed as failed:
        if not invocation.json:
            show_benchmark(invocation.err, failed.result or {})
        raise
    if finished is None:
        return
    result = finished.job.result or {}
    for line in warning_lines(result):
        invocation.note(line)
    if not invocation.json:
        show_answer(invocation.out, result, finished.events)
        show_benchmark(invocation.out, result)
    invocation.succeed(job_id=finished.job.job_id, status=finished.job.status, result=result)


def _place(document: dict[str, object]) -> str:
    if document["vastai"]:
        return f"a GPU at Vast.ai for at most {dollars(float(str(document['max_dph'])))}/h"
    return without_credentials(str(document.get("backend_url") or ""))
