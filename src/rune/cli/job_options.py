"""What every command that starts a job checks before it does anything (jobs-api.md 15, group `common`)."""

from __future__ import annotations

import re

from rune.cli.configuration import environment_flag
from rune.cli.failures import UsageProblem
from rune.cli.invocation import Invocation

VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,255}")


def checked_key(
    invocation: Invocation,
    *,
    idempotency_key: str | None,
    yes: bool | None,
    max_cost_usd: float | None,
    no_wait: bool,
) -> str | None:
    """The idempotency key, by option or variable. Raises UsageProblem for options that do not fit."""
    around = invocation.surroundings
    if no_wait and invocation.configuration.text("backend") != "http":
        raise UsageProblem("'--no-wait' needs a server", hint="add `--backend http` before the command")
    if max_cost_usd is not None and not 0 < max_cost_usd < float("inf"):
        raise UsageProblem("Invalid value for '--max-cost-usd': must be above 0")
    environment_flag(around.environ, "RUNE_YES", yes)
    key = idempotency_key or around.environ.get("RUNE_IDEMPOTENCY_KEY") or None
    if key is not None and not VISIBLE_ASCII.fullmatch(key):
        raise UsageProblem("Invalid value for '--idempotency-key': must be 1 to 255 visible ASCII characters")
    return key
