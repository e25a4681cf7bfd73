"""A run's usage and budget, added up from its events (runs-api.md 2.5, 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rune_common.domain.json_fields import count, members, micro_usd, number, text

_COUNTED = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "llm_calls", "tool_calls",
)  # fmt: skip
LIMITS = ("max_cost_usd", "max_tokens", "max_runtime_minutes", "max_tool_calls", "max_iterations")
DEFAULT_WARNING_PERCENT = 80
COST_UNENFORCEABLE = "COST_UNENFORCEABLE"


@dataclass(slots=True)
class Tally:
    """Sums over events. Cost in micro-USD, of the priced ones; `priced`: at least one had a price."""

    token_usage: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTED, 0))
    cost_micro_usd: int = 0
    priced: bool = False
    unpriced: bool = False

    def add(self, event: Mapping[str, Any]) -> None:
        usage = members(event, "usage")
        self.token_usage += count(event, "token_usage")
        for name in _COUNTED:
            self.counts[name] += count(usage, name)
        cost = number(event, "cost_usd")
        if usage.get("unpriced") is True:
            self.unpriced = True
        elif cost is not None:
            self.cost_micro_usd += micro_usd(max(0, cost))
            self.priced = self.priced or cost > 0 or count(usage, "llm_calls") > 0

    @property
    def cost_usd(self) -> float | None:
        """The sum of known costs; None when something is unpriced and nothing priced."""
        return None if self.unpriced and not self.priced else self.cost_micro_usd / 1_000_000

    def document(self) -> dict[str, Any]:
        return {
            "token_usage": self.token_usage,
            **self.counts,
            "cost_usd": self.cost_usd,
            "unpriced": self.unpriced,
        }


@dataclass(slots=True)
class FoldedUsage:
    """The run's total and, by the model that an event names, parts of it."""

    total: Tally = field(default_factory=Tally)
    by_model: dict[str, Tally] = field(default_factory=dict)
    subagents: int = 0
    used: bool = False
    reported: Mapping[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def add(self, event: Mapping[str, Any]) -> None:
        self.total.add(event)
        usage, payload = members(event, "usage"), members(event, "payload")
        model = text(usage, "model")
        if model:
            self.by_model.setdefault(model, Tally()).add(event)
        self.used = self.used or bool(count(event, "token_usage") or count(usage, "tool_calls"))
        if event.get("type") == "tool_call" and payload.get("badge") == "SUBAGENT":
            self.subagents += 1
        if event.get("type") == "budget_warning":
            code = text(payload, "limit")
            if code and code not in self.warnings:
                self.warnings.append(code)

    def document(self, *, duration_ms: int, approval_wait_ms: int) -> dict[str, Any]:
        """`usage` of the status. What a client reported counts only when no event used anything."""
        found = self.total.document() | {"subagent_count": self.subagents, "duration_ms": duration_ms}
        if not self.used:
            for name in ("token_usage", "tool_calls", "duration_ms"):
                found[name] = count(self.reported, name) or found[name]
            cost = number(self.reported, "cost_usd")
            found["cost_usd"] = found["cost_usd"] if cost is None else micro_usd(cost) / 1_000_000
        return found | {"approval_wait_ms": approval_wait_ms}

    def models(self) -> list[dict[str, Any]]:
        return [{"model": name, **self.by_model[name].document()} for name in sorted(self.by_model)]


def budget_document(
    asked: Mapping[str, Any], usage: Mapping[str, Any], *, iterations: int, warnings: list[str]
) -> dict[str, Any]:
    """`budget` of the status: `asked` are the ceilings of the request, `usage` the status's own."""
    limits = {name: number(asked, name) for name in LIMITS}
    threshold = number(asked, "warning_threshold_percent") or DEFAULT_WARNING_PERCENT
    used: dict[str, int | float] = {
        "max_cost_usd": usage["cost_usd"] or 0,
        "max_tokens": usage["token_usage"],
        "max_runtime_minutes": usage["duration_ms"] / 60_000,
        "max_tool_calls": usage["tool_calls"],
        "max_iterations": iterations,
    }
    ceilings = {name: limit for name, limit in limits.items() if limit is not None and limit > 0}
    reached = max((100 * used[name] / limit for name, limit in ceilings.items()), default=0)
    unenforceable = usage["unpriced"] and "max_cost_usd" in ceilings
    remaining = {
        name: round(max(0, ceilings[name] - used[name]), 6) if name in ceilings else None for name in LIMITS
    }
    return {
        "limits": limits | {"warning_threshold_percent": threshold},
        "remaining": remaining,
        "warnings": [*warnings, *([COST_UNENFORCEABLE] if unenforceable else [])],
        "health": "RED" if reached >= 100 else "YELLOW" if reached >= threshold else "GREEN",
    }
