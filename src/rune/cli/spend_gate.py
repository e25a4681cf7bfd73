"""The look at the cost before anything is rented (jobs-api.md 15, row "Spend gate")."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rune.cli.config_keys import TRUE_WORDS
from rune.cli.configuration import environment_flag
from rune.cli.confirm import can_ask, confirmed
from rune.cli.failures import CliFailure, UsageProblem
from rune.cli.invocation import Invocation
from rune.cli.printing import dollars, one_line, seconds

if TYPE_CHECKING:
    from rune.local.booked_market import Proposed

THRESHOLD_USD = 5.0
THRESHOLD = "RUNE_SPEND_WARNING_THRESHOLD"
ESTIMATED = ("min_dph", "max_dph", "model", "provisioning")
HINT = "--yes goes on without being asked"


def rents(document: Mapping[str, Any]) -> bool:
    """Whether a request asks for a GPU of its own, in either form (jobs-api.md 1.3 T3)."""
    nested = document.get("provisioning")
    return bool(document.get("vastai")) or (isinstance(nested, dict) and nested.get("vastai") is not None)


def pass_spend_gate(invocation: Invocation, document: Mapping[str, Any], *, yes: bool | None) -> None:
    """Show what renting would cost for the job's whole time, and go on only if that is wanted.

    Raises CliFailure when it is not, when nobody can be asked, and always when the cost is not known.
    """
    from rune.cli.cost_source import open_costs

    around = invocation.surroundings
    agreed = environment_flag(around.environ, "RUNE_YES", yes)
    limit = _threshold(around.environ)
    request = {name: document[name] for name in ESTIMATED if document.get(name) is not None}
    request |= {"vastai": True, "estimated_duration_seconds": document["timeout_seconds"]}
    with open_costs(invocation) as costs:
        estimate = costs.estimate(request)
    cost = estimate.get("projected_cost_usd")
    _show(invocation, estimate, document)
    known = isinstance(cost, int | float) and not isinstance(cost, bool) and math.isfinite(cost)
    if not known or estimate.get("cost_driver") in (None, "unknown"):
        raise CliFailure("the cost is not known, so nothing is rented", code="cost_unknown")
    if agreed:
        return
    if float(cost or 0) > limit:
        _agree(invocation, f"This may cost {dollars(float(cost or 0))}. Go on?", limit)
    if invocation.configuration.text("backend") != "http" and not can_ask(invocation):
        raise CliFailure(
            "nobody can be asked whether to create the instance", code="confirmation_required", hint=HINT
        )


def wants(invocation: Invocation, proposed: Proposed) -> bool:
    """Whether the person takes the offer that was chosen."""
    choice = proposed.choice
    memory = f"{choice.vram_mb / 1024:.0f} GB"
    invocation.note(
        f"Offer {choice.offer_id}: {one_line(choice.gpu_name) or 'GPU'}, {memory}, at {dollars(choice.dph)}/h, for "
        f"{one_line(choice.model)}; if it is gone, another one at most {dollars(proposed.max_dph)}/h."
    )
    return confirmed(invocation, "Create this instance?")


def _agree(invocation: Invocation, question: str, limit: float) -> None:
    in_ci = invocation.surroundings.environ.get("CI", "").strip().lower() in TRUE_WORDS
    if in_ci or not can_ask(invocation):
        message = f"the projected cost is above {dollars(limit)} ({THRESHOLD}) and nobody can be asked"
        raise CliFailure(message, code="confirmation_required", hint=HINT)
    if not confirmed(invocation, question):
        raise CliFailure("not wanted at this cost; nothing was rented", code="spend_declined")


def _threshold(environ: Mapping[str, str]) -> float:
    text = environ.get(THRESHOLD, "").strip()
    if not text:
        return THRESHOLD_USD
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not (math.isfinite(found) and found >= 0):
        raise UsageProblem(f"Invalid value for {THRESHOLD}: must be a number of dollars, 0 or more")
    return found


def _show(invocation: Invocation, estimate: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    from rich.panel import Panel
    from rich.text import Text

    cost = estimate.get("projected_cost_usd")
    lasts = seconds(float(document["timeout_seconds"]))
    shown = f"at most {dollars(float(cost))} for {lasts}" if isinstance(cost, int | float) else "unknown"
    lease = None if document.get("vastai_stop_instance", True) else document.get("lease_seconds")
    facts = {
        "Cost": shown,
        "Driver": str(estimate.get("cost_driver") or "unknown"),
        "Impact": str(estimate.get("resource_impact") or "unknown"),
        "Afterwards": _kept(lease, local=invocation.configuration.text("backend") != "http"),
        "Warning": str(estimate.get("warning") or "a rented GPU costs money until it is handed back"),
    }
    lines = [f"{name:<10}  {one_line(value)}" for name, value in facts.items() if value]
    panel = Panel(Text("\n".join(lines)), title="Spending", title_align="left", expand=False)
    invocation.err.print(panel)


def _kept(lease: object, *, local: bool) -> str:
    """ "" for an instance that ends with its job."""
    if not isinstance(lease, int | float):
        return ""
    if local:
        return f"kept for {seconds(float(lease))}, and paid for until `rune vastai-reap` ends it after that"
    return f"kept and paid for another {seconds(float(lease))} at most"
