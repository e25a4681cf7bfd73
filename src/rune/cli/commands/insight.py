"""`kpi` and `models`: how a tenant's runs do, and which model to take (runs-api.md 8, 10)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from rune.cli import options
from rune.cli.invocation import current


class Role(StrEnum):
    ORCHESTRATOR = "orchestrator"
    SUBAGENT = "subagent"
    JUDGE = "judge"
    ANY = "any"


def show_kpi(
    context: typer.Context,
    compare_days: Annotated[
        int, typer.Option("--compare-days", min=1, max=365, help="Days of the window that is looked at.")
    ] = 7,
    baseline_days: Annotated[
        int, typer.Option("--baseline-days", min=1, max=365, help="Days before it that it is compared with.")
    ] = 28,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="End of the window as of ISO-8601; default: now.", show_default=False),
    ] = None,
    breakdowns: Annotated[
        bool, typer.Option("--breakdowns", help="Show runs by mode, repository, model and exit as well.")
    ] = False,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Show how the runs of the last days did, against the days before (http mode only)."""
    from rune.cli.backends import open_server
    from rune.cli.insight_view import print_kpi

    invocation = current(context)
    invocation.begin("kpi", json_output, debug)
    with open_server(invocation) as client:
        found = client.kpi(compare_window_days=compare_days, baseline_window_days=baseline_days, as_of=as_of)
    if not invocation.json:
        print_kpi(found, invocation, breakdowns=breakdowns)
    invocation.succeed(result=found)


def list_ranked_models(
    context: typer.Context,
    role: Annotated[Role, typer.Option("--role", help="What the model is to do.")] = Role.ANY,
    capability: Annotated[
        str | None,
        typer.Option("--capability", help="Only with all of these, e.g. tools,vision.", show_default=False),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Show what is not available as well, with the reason.")
    ] = False,
    budget_usd: Annotated[
        float | None,
        typer.Option(
            "--budget-usd",
            min=0,
            help="What 10 000 input and 1 000 output tokens may cost.",
            show_default=False,
        ),
    ] = None,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """List the models that may be chosen, the best first by the tenant's own runs (http mode only)."""
    from rune.cli.backends import open_server
    from rune.cli.insight_view import print_models

    invocation = current(context)
    invocation.begin("models", json_output, debug)
    with open_server(invocation) as client:
        found = client.model_catalog(
            role=role.value,
            capability=capability,
            include_unavailable="true" if every else None,
            budget_usd=None if budget_usd is None else str(budget_usd),
        )
    if not invocation.json:
        print_models(found, invocation)
    invocation.succeed(result=found)
