"""Projections of cost as lines for people. What is not known says so and is never 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rune.cli.printing import dollars, one_line, seconds

UNKNOWN = "unknown"


def estimate_lines(answer: Mapping[str, Any]) -> list[str]:
    """Cost, driver, impact, confidence and, if there is one, the warning of an estimate (jobs-api.md 7.1)."""
    facts = {
        "Cost": _cost_with_bounds(answer, "projected_cost_usd"),
        "Driver": _text(answer, "cost_driver"),
        "Impact": _text(answer, "resource_impact"),
        "Per hour": _price(answer.get("hourly_rate_usd")),
        "Duration": _duration(answer.get("estimated_duration_seconds")),
        "Energy": _energy(answer.get("local_energy_kwh")),
        "Confidence": _share(answer.get("confidence_score")),
        "Warning": _text(answer, "warning"),
    }
    return _lines(facts)


def simulation_lines(answer: Mapping[str, Any]) -> list[str]:
    """What a run and the period cost, on what basis, and how sure that is (jobs-api.md 7.2)."""
    runs = f"{_count(answer.get('runs_per_period'))} a day, days: {_count(answer.get('period_days'))}"
    samples = answer.get("historical_sample_count")
    basis = f"earlier runs: {_count(samples)}" if samples else "assumptions, no earlier runs"
    spread = [_duration(answer.get(f"duration_{bound}_seconds")) for bound in ("low", "high")]
    tokens = [_count(answer.get(f"llm_{way}_tokens_assumed")) for way in ("input", "output")]
    facts = {
        "Per run": _cost_with_bounds(answer, "total_cost_usd"),
        "GPU": f"{_price(answer.get('gpu_cost_usd'))} ({_text(answer, 'gpu')}, {_price(answer.get('gpu_dph_usd'))}/h)",
        "Tokens": f"{_price(answer.get('token_cost_usd'))} ({_text(answer, 'llm_model_effective')}, "
        f"{tokens[0]} in, {tokens[1]} out)",
        "Duration": f"{_duration(answer.get('avg_duration_seconds'))} ({' to '.join(spread)})",
        "Period": f"{_price(answer.get('projected_total_usd'))} ({runs})",
        "Basis": basis,
        "Confidence": f"{_share(answer.get('confidence'))} ({_text(answer, 'confidence_level')})",
    }
    return _lines(facts)


def _lines(facts: Mapping[str, str]) -> list[str]:
    shown = {name: value for name, value in facts.items() if value}
    width = max(map(len, shown)) + 1
    return [f"{name + ':':<{width}} {value}" for name, value in shown.items()]


def _cost_with_bounds(answer: Mapping[str, Any], name: str) -> str:
    cost, low, high = (answer.get(key) for key in (name, "cost_low_usd", "cost_high_usd"))
    shown = _price(cost)
    return shown if cost is None or low == high == cost else f"{shown} ({_price(low)} to {_price(high)})"


def _price(value: object) -> str:
    return dollars(float(value)) if isinstance(value, int | float) else UNKNOWN


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else UNKNOWN


def _duration(value: object) -> str:
    return seconds(float(value)) if isinstance(value, int | float) else ""


def _energy(value: object) -> str:
    return f"{value:g} kWh" if isinstance(value, int | float) and value else ""


def _share(value: object) -> str:
    return f"{value:.0%}" if isinstance(value, int | float) else ""


def _text(answer: Mapping[str, Any], name: str) -> str:
    return one_line(str(answer.get(name) or ""))
