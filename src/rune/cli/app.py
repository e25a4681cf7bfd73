"""The Typer application: the global options and the list of commands (jobs-api.md 15)."""

from __future__ import annotations

from typing import Annotated

import typer

from rune.cli import options
from rune.cli.commands import (
    agent,
    approvals,
    benchmark,
    chain,
    costs,
    evidence,
    insight,
    instance,
    jobs,
    models,
    runs,
    serve,
    setup,
)
from rune.cli.invocation import current

app = typer.Typer(
    name="rune",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Ask what is wrong in a Kubernetes cluster, see how the answer was found, know what it cost.",
)


def _show_version(context: typer.Context, wanted: bool | None) -> None:
    if not wanted:
        return
    from rune.cli.machine import rune_version

    invocation = current(context)
    invocation.command = "version"
    if not invocation.json:
        invocation.say(f"rune {rune_version()}")
    invocation.succeed(result={"version": rune_version()})
    raise typer.Exit()


@app.callback()
def root(
    context: typer.Context,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile", help="Profile of the configuration file. (env RUNE_PROFILE)", show_default=False
        ),
    ] = None,
    backend: Annotated[str | None, options.configured("backend")] = None,
    api_base_url: Annotated[str | None, options.configured("api_base_url")] = None,
    api_token: Annotated[
        str | None,
        typer.Option(
            "--api-token",
            help="Token of the server; the environment hides it from process lists. (env RUNE_API_TOKEN)",
            show_default=False,
        ),
    ] = None,
    api_tenant: Annotated[str | None, options.configured("api_tenant")] = None,
    debug: options.DebugFlag = None,
    insecure: Annotated[bool | None, options.configured("insecure", "--insecure")] = None,
    json_output: options.JsonFlag = None,
    version: Annotated[
        bool | None,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version.", show_default=False
        ),
    ] = None,
) -> None:
    invocation = current(context)
    environ = invocation.surroundings.environ
    invocation.command = context.invoked_subcommand or ""
    invocation.json_for_all = bool(json_output)
    invocation.debug_option = debug
    invocation.profile = profile or environ.get("RUNE_PROFILE", "")
    invocation.api_token = (api_token or environ.get("RUNE_API_TOKEN", "")).strip()
    invocation.options |= {
        "backend": backend,
        "api_base_url": api_base_url,
        "api_tenant": api_tenant,
        "insecure": insecure,
    }


app.command("run-ollama-instance")(instance.run_llm_instance)
app.command("run-llm-instance")(instance.run_llm_instance)
app.command("run-agentic-agent")(agent.run_agentic_agent)
app.command("run-benchmark")(benchmark.run_benchmark)
app.command("run-chain")(chain.run_chain)
app.command("vastai-reap")(instance.reap_rented)
app.command("vastai-list-models")(models.list_vastai_models)
app.command("ollama-list-models")(models.list_llm_models)
app.command("llm-list-models")(models.list_llm_models)
app.command("kpi")(insight.show_kpi)
app.command("models")(insight.list_ranked_models)
app.command("estimate")(costs.estimate)
app.command("simulate")(costs.simulate)
app.add_typer(jobs.app, name="jobs")
app.add_typer(runs.app, name="runs")
app.add_typer(approvals.app, name="approvals")
app.add_typer(evidence.app, name="evidence")
app.command("serve")(serve.serve)
app.command("info")(setup.info)
app.command("init")(setup.init)
app.command("config")(setup.config)
