"""The KPI and the model catalog as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rune.cli.client import BAD_ANSWER
from rune.cli.failures import CliFailure
from rune.cli.invocation import Invocation
from rune.cli.printing import dollars, one_line

UNKNOWN = "–"
_BREAKDOWNS = {"by_mode": "Mode", "by_repo": "Repository", "by_model": "Model", "by_exit_reason": "Exit"}


def print_kpi(found: Mapping[str, Any], invocation: Invocation, *, breakdowns: bool) -> None:
    """Raises CliFailure for an answer that is no KPI."""
    try:
        windows = [found["windows"][name] for name in ("compare", "baseline")]
        heads = [f"{window['from'][:10]} – {window['to'][:10]}" for window in windows]
        rows = [_metric(each) for each in found["metrics"]]
        invocation.note(f"As of {found['as_of']}, {found['open_runs']} open runs")
        _print(invocation, ("Metric", *heads, "Change", "Verdict"), rows, numbers=(1, 2, 3))
        for name, heading in _BREAKDOWNS.items() if breakdowns else ():
            groups = [_group(key, each) for key, each in found["breakdowns"][name].items()]
            _print(invocation, (heading, "Runs", "Success", "Cost"), groups, numbers=(1, 2, 3))
    except (KeyError, TypeError, AttributeError) as exc:
        raise CliFailure(BAD_ANSWER, code="bad_answer") from exc


def print_models(found: Mapping[str, Any], invocation: Invocation) -> None:
    """Raises CliFailure for an answer that is no catalog."""
    try:
        rows: list[tuple[str, ...]] = [_model(each) for each in found["models"]]
        defaults = {role: model or UNKNOWN for role, model in found["defaults"].items()}
    except (KeyError, TypeError, AttributeError) as exc:
        raise CliFailure(BAD_ANSWER, code="bad_answer") from exc
    if not rows:
        invocation.note("No models. --all shows those that are not available, and why.")
        return
    heads: tuple[str, ...] = (
        "Rank",
        "Model",
        "Where",
        "Score",
        "Success",
        "Runs",
        "Price in/out per M",
        "Not available",
    )
    if not any(row[-1] for row in rows):
        rows, heads = [row[:-1] for row in rows], heads[:-1]
    _print(invocation, heads, rows, numbers=(0, 3, 4, 5, 6))
    invocation.note(
        "Default: " + ", ".join(f"{role} {one_line(str(each))}" for role, each in defaults.items())
    )


def _metric(metric: Mapping[str, Any]) -> tuple[str, ...]:
    change = metric["delta_pct"]
    return (
        str(metric["key"]),
        _value(metric["compare"], str(metric["unit"])),
        _value(metric["baseline"], str(metric["unit"])),
        UNKNOWN if change is None else f"{change:+.1f} %",
        str(metric["verdict"]).replace("_", " "),
    )


def _group(key: str, group: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        key,
        str(group["runs_total"]),
        _value(group["success_rate"], "ratio"),
        _value(group["cost_usd_total"], "usd"),
    )


def _model(model: Mapping[str, Any]) -> tuple[str, ...]:
    pricing, evidence, availability = model["pricing"], model["evidence"], model["availability"]
    prices = (pricing["input_per_mtok"], pricing["output_per_mtok"])
    return (
        UNKNOWN if model["rank"] is None else str(model["rank"]),
        str(model["model_id"]),
        str(availability["credential_mode"]),
        UNKNOWN if model["score"] is None else f"{model['score']:.3f}",
        _value(evidence["success_rate"], "ratio"),
        str(evidence["runs"]),
        UNKNOWN if pricing["unpriced"] else " / ".join(dollars(each) for each in prices),
        str(availability["reason_code"] or ""),
    )


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return UNKNOWN
    if unit == "ratio":
        return f"{100 * value:.1f} %"
    if unit.startswith("usd"):
        return dollars(value)
    return f"{value:,.0f} {unit}" if unit in ("ms", "s") and value >= 10 else f"{value:,.4g}"


def _print(
    invocation: Invocation, heads: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int]
) -> None:
    from rich.table import Table

    table = Table()
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(one_line(cell) for cell in row))
    invocation.out.print(table, markup=False, highlight=False)
