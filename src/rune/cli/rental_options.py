"""The group `Vast.ai` of options, and what it says in a request (jobs-api.md 4.3, 15)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rune.cli import options
from rune.cli.configuration import Configuration
from rune.cli.failures import UsageProblem

Vastai = Annotated[bool | None, options.configured("vastai", "--vastai/--no-vastai")]
Template = Annotated[str | None, options.configured("template_hash")]
MinDph = Annotated[float | None, options.configured("min_dph")]
MaxDph = Annotated[float | None, options.configured("max_dph")]
Reliability = Annotated[float | None, options.configured("reliability")]
StopInstance = Annotated[
    bool | None,
    options.configured("vastai_stop_instance", "--vastai-stop-instance/--no-vastai-stop-instance"),
]
LeaseSeconds = Annotated[
    int,
    typer.Option(
        "--lease-seconds", min=60, max=86_400, help="Seconds that a kept instance stays after the job."
    ),
]


def rental_fields(
    configuration: Configuration,
    *,
    vastai: bool | None,
    template: str | None,
    min_dph: float | None,
    max_dph: float | None,
    reliability: float | None,
) -> dict[str, Any]:
    """Always whether a GPU is rented, so that no server's default decides to; its terms if one is.

    Raises UsageProblem.
    """
    if not configuration.flag("vastai", vastai):
        return {"vastai": False}
    given = {
        "template_hash": template,
        "min_dph": min_dph,
        "max_dph": max_dph,
        "reliability": reliability,
    }
    fields: dict[str, Any] = {name: configuration.get(name, option).value for name, option in given.items()}
    if fields["min_dph"] > fields["max_dph"]:
        raise UsageProblem("Invalid value for '--vastai-min-dph': must not be greater than --vastai-max-dph")
    if fields["reliability"] > 1:
        fields["reliability"] /= 100
    return {"vastai": True, **fields}
