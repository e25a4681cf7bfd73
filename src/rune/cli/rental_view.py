"""What a benchmark or an instance came to, beside the answer: phases, contract, teardown (jobs-api.md 4.8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rune.cli.printing import dollars, moment, one_line, seconds, without_credentials

if TYPE_CHECKING:
    from rich.console import Console


def show_benchmark(console: Console, result: Mapping[str, Any]) -> None:
    """The phases with their durations, then one line each on the instance and its end, where there was one."""
    from rich.table import Table

    phases = result.get("phases")
    found = [each for each in phases if isinstance(each, Mapping)] if isinstance(phases, list) else []
    if found:
        table = Table(title="Phases", title_justify="left", title_style="bold")
        table.add_column("Phase")
        table.add_column("Status")
        table.add_column("Duration", justify="right")
        for each in found:
            took = each.get("duration_ms")
            shown = seconds(took / 1000) if isinstance(took, int | float) else "–"
            table.add_row(*(one_line(str(each.get(name) or "")) for name in ("name", "status")), shown)
        console.print()
        console.print(table, markup=False, highlight=False)
    for line in instance_lines(result):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def instance_lines(result: Mapping[str, Any]) -> list[str]:
    """Of a benchmark: model, contract and teardown."""
    facts = {
        "Model": str(result.get("model_name") or ""),
        "Model server": without_credentials(str(result.get("backend_url") or "")),
        "Contract": str(result.get("contract_id") or ""),
        "Teardown": teardown_line(result.get("teardown")),
    }
    return [f"{name}: {one_line(value)}" for name, value in facts.items() if value]


def teardown_line(teardown: object) -> str:
    """ "" when nothing was rented."""
    if not isinstance(teardown, Mapping):
        return ""
    told = str(teardown.get("verification_message") or "")
    if teardown.get("destroyed_instance"):
        seen = "its absence was seen" if teardown.get("verification_ok") else "its absence was not seen"
        return f"instance destroyed, {seen}"
    return told or "instance not destroyed"


def show_instance(console: Console, result: Mapping[str, Any], release: str) -> None:
    """An `llm-instance`; `release` is the command that ends its lease."""
    dph, lease = result.get("dph"), result.get("lease_expires_at")
    kept = isinstance(lease, int | float)
    facts = {
        "Mode": str(result.get("mode") or ""),
        "Model server": f"{without_credentials(str(result.get('backend_url') or ''))} ({result.get('backend_type')})",
        "Model": str(result.get("model_name") or ""),
        "Installed": _names(result.get("models")),
        "Loaded": _names(result.get("running_models")),
        "Contract": str(result.get("contract_id") or ""),
        "Price": f"{dollars(float(dph))}/h" if isinstance(dph, int | float) else "",
        "Kept until": moment(float(lease)) if isinstance(lease, int | float) else "",
        "Hand back": release if kept else "",
    }
    for name, value in facts.items():
        if value:
            console.print(f"{name + ':':<14}{one_line(value)}", markup=False, highlight=False, soft_wrap=True)


def _names(models: object) -> str:
    """Names, whether the server lists names or objects with one."""
    found = models if isinstance(models, list) else []
    return ", ".join(str(each.get("name", "")) if isinstance(each, Mapping) else str(each) for each in found)
