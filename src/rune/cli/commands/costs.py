"""`estimate` and `simulate`: what work would cost (jobs-api.md 7 and 15)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from rune.cli import options
from rune.cli.configuration import BUILT_IN
from rune.cli.failures import UsageProblem
from rune.cli.invocation import Invocation, current


def _flag(name: str, meaning: str) -> Any:
    return typer.Option(f"--{name}", help=meaning, show_default=False)


def _amount(name: str, meaning: str, maximum: float | None = None) -> Any:
    return typer.Option(f"--{name}", min=0, max=maximum, help=meaning, show_default=False)


def _word(name: str, meaning: str) -> Any:
    return typer.Option(f"--{name}", help=meaning, show_default=False)


def estimate(
    context: typer.Context,
    vastai: Annotated[bool, _flag("vastai", "A GPU rented at Vast.ai pays for the work.")] = False,
    local_hardware: Annotated[bool, _flag("local-hardware", "Hardware of your own.")] = False,
    aws: Annotated[bool, _flag("aws", "An instance at AWS.")] = False,
    gcp: Annotated[bool, _flag("gcp", "An instance at Google Cloud.")] = False,
    azure: Annotated[bool, _flag("azure", "An instance at Azure.")] = False,
    min_dph: Annotated[float | None, _amount("min-dph", "Lowest price in dollars per hour.", 128)] = None,
    max_dph: Annotated[float | None, _amount("max-dph", "Highest price in dollars per hour.", 128)] = None,
    instance_type: Annotated[
        str | None, _word("instance-type", "The cloud's instance type, e.g. g5.xlarge.")
    ] = None,
    estimated_duration_seconds: Annotated[
        int | None,
        _amount("estimated-duration-seconds", "How long the work takes (default 3600).", 2_592_000),
    ] = None,
    local_tdp_watts: Annotated[
        float | None, _amount("local-tdp-watts", "Power of your own hardware in watts.")
    ] = None,
    local_energy_rate_kwh: Annotated[
        float | None, _amount("local-energy-rate-kwh", "Price of energy in dollars per kWh.")
    ] = None,
    local_hardware_purchase_price: Annotated[
        float | None, _amount("local-hardware-purchase-price", "What your own hardware cost, in dollars.")
    ] = None,
    local_hardware_lifespan_years: Annotated[
        float | None, _amount("local-hardware-lifespan-years", "How many years it is used.")
    ] = None,
    model: Annotated[str | None, _word("model", "Model that is to run.")] = None,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Tell what work would cost, before it is started.

    Of several cost drivers the first counts: Vast.ai, own hardware, AWS, Google Cloud, Azure. A cost that is
    not known is shown as unknown.
    """
    from rune.cli.cost_source import open_costs
    from rune.cli.cost_view import estimate_lines

    invocation = current(context)
    invocation.begin("estimate", json_output, debug)
    drivers = {
        "vastai": vastai,
        "local_hardware": local_hardware,
        "aws": aws,
        "gcp": gcp,
        "azure": azure,
    }
    request = {name: True for name, wanted in drivers.items() if wanted} | _given(
        min_dph=min_dph,
        max_dph=max_dph,
        instance_type=instance_type,
        estimated_duration_seconds=estimated_duration_seconds,
        local_tdp_watts=local_tdp_watts,
        local_energy_rate_kwh=local_energy_rate_kwh,
        local_hardware_purchase_price=local_hardware_purchase_price,
        local_hardware_lifespan_years=local_hardware_lifespan_years,
        model=model,
    )
    with open_costs(invocation) as costs:
        answer = costs.estimate(request)
    _show(invocation, estimate_lines(answer), answer)


def simulate(
    context: typer.Context,
    agent: Annotated[str | None, _word("agent", "Only runs of this agent.")] = None,
    suite: Annotated[
        str | None,
        typer.Option("--suite", "--template-hash", help="Only benchmarks of it.", show_default=False),
    ] = None,
    gpu: Annotated[str | None, _word("gpu", "GPU that the model runs on (default RTX 4090).")] = None,
    model: options.Model = None,
    runs_per_period: Annotated[
        int | None,
        typer.Option("--runs-per-period", min=1, max=100_000, help="Runs a day.", show_default=False),
    ] = None,
    period_days: Annotated[
        int | None, typer.Option("--period-days", min=1, max=366, help="Days.", show_default=False)
    ] = None,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Project what runs will cost, from what earlier ones of the same agent and model took.

    Earlier runs are a server's (`--backend http`); this process keeps none and goes by assumptions. On a
    server the model, unless it is given, is the tenant's.
    """
    from rune.cli.cost_source import open_costs
    from rune.cli.cost_view import simulation_lines

    invocation = current(context)
    invocation.begin("simulate", json_output, debug)
    configuration = invocation.configuration
    chosen = configuration.get("model", model)
    tenant_decides = configuration.text("backend") == "http" and chosen.source == BUILT_IN
    request = _given(
        agent=agent,
        suite=suite,
        gpu=gpu,
        model=None if tenant_decides else chosen.text,
        runs_per_period=runs_per_period,
        period_days=period_days,
    )
    with open_costs(invocation) as costs:
        answer = costs.simulate(request)
    _show(invocation, simulation_lines(answer), answer)


def _given(**values: str | int | float | None) -> dict[str, Any]:
    """What was given, by field. Raises UsageProblem for a number that is none."""
    given = {name: value for name, value in values.items() if value is not None}
    for name, value in given.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageProblem(f"Invalid value for '--{name.replace('_', '-')}': must be a number")
    return given


def _show(invocation: Invocation, lines: Sequence[str], answer: dict[str, Any]) -> None:
    if not invocation.json:
        for line in lines:
            invocation.say(line)
    invocation.succeed(result=answer)
