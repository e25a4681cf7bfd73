"""Questions with yes or no (jobs-api.md 15): asked on a terminal only, and never with `--json`."""

from __future__ import annotations

from rune.cli.invocation import Invocation


def can_ask(invocation: Invocation) -> bool:
    around = invocation.surroundings
    terminal = around.stdin is not None and around.stdin.isatty() and around.stderr.isatty()
    return terminal and not invocation.json


def confirmed(invocation: Invocation, question: str) -> bool:
    """Anything but a yes is a no. Only where `can_ask`."""
    around = invocation.surroundings
    if around.stdin is None:
        return False
    around.stderr.write(f"{question} [y/N] ")
    around.stderr.flush()
    return around.stdin.readline().strip().lower() in {"y", "yes"}
