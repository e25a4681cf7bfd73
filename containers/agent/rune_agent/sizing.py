"""Window and output limit of a model that its server does not tell (holmes-driver.md 3.2)."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rune_agent import modelmap
from rune_agent.order import Order
from rune_agent.problems import AgentProblem


def sized(order: Order, warn: Callable[[str, str], None]) -> Order:
    """
    The order with both filled in, for hosted models from the library's table. Raises AgentProblem
    `context_too_small`.
    """
    known = library_table(order.model)
    window = order.context_window or int(known.get("max_input_tokens") or 0)
    if not window:
        window = modelmap.UNKNOWN_HOSTED_CONTEXT
        warn("context_assumed", f"the model's window is unknown; {window} tokens are assumed")
    if window < modelmap.MIN_CONTEXT:
        raise AgentProblem("context_too_small", "the model's context window is too small")
    output = modelmap.output_limit(order.max_output_tokens or None, window)
    return replace(
        order,
        context_window=window,
        max_output_tokens=min(output, int(known.get("max_output_tokens") or output)),
    )


def library_table(model: str) -> dict[str, Any]:
    """What the library's bundled table says about a model; empty when it does not know it."""
    table = importlib.import_module("litellm").model_cost
    names = (model, model.partition("/")[2], model.rpartition("/")[2])
    return next((dict(table[name]) for name in names if name in table), {})
