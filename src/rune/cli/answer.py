"""The end of an agent job on stdout: answer, artifacts, lifecycle metrics, tokens and cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rune.cli.job_view import EventView
from rune.cli.printing import dollars, milliseconds, one_line, plain

if TYPE_CHECKING:
    from rich.console import Console

WARNINGS = {
    "kubeconfig_path_ignored": "the server did not use the kubeconfig's path",
    "no_cluster_access": "the agent had no access to a cluster",
    "agent_substituted": "another agent answered than the one asked for",
    "teardown_pending": "the rented GPU is still being handed back",
    "model_without_tools": "the model server does not say whether the model can use tools",
}


def show_answer(console: Console, result: Mapping[str, Any], events: Iterable[EventView]) -> None:
    """Markdown on a terminal, the text as it is elsewhere; control characters are removed in both."""
    answer = plain(str(result.get("answer", "")))
    console.print(
        f"Agent Answer ({one_line(str(result.get('result_type') or 'text'))})", style="bold", markup=False
    )
    if console.is_terminal:
        from rich.markdown import Markdown

        console.print(Markdown(answer, hyperlinks=False))
    else:
        console.print(answer, markup=False, highlight=False, soft_wrap=True)
    _show_artifacts(console, result.get("artifacts"))
    show_metrics(console, events)
    console.print(usage_line(result), markup=False, highlight=False, soft_wrap=True)


def warning_lines(result: Mapping[str, Any]) -> list[str]:
    metadata = result.get("metadata")
    found = metadata.get("warnings") if isinstance(metadata, Mapping) else None
    names = [str(name) for name in found] if isinstance(found, list) else []
    return [f"warning: {WARNINGS.get(name, name)}" for name in names]


def _show_artifacts(console: Console, artifacts: object) -> None:
    found = [each for each in artifacts if isinstance(each, Mapping)] if isinstance(artifacts, list) else []
    console.print(f"\nArtifacts ({len(found)})", style="bold", markup=False, highlight=False)
    for each in found:
        facts = [str(each.get(name)) for name in ("kind", "name", "artifact_id") if each.get(name)]
        size = each.get("size_bytes")
        facts += [f"{size:,} bytes"] if isinstance(size, int) else []
        line = "  ".join(one_line(fact) for fact in facts)
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def show_metrics(console: Console, events: Iterable[EventView]) -> None:
    """Per event name: how often, how it went, and the durations in ms ("–" for points in time)."""
    from rich.table import Table

    table = Table(title="Workflow Lifecycle Metrics", title_justify="left", title_style="bold")
    table.add_column("Event", overflow="fold")
    for heading in ("Total", "OK", "Error", "Avg ms", "Min ms", "Max ms"):
        table.add_column(heading, justify="right")
    for name, group in _by_name(events).items():
        failed = sum(event.failed for event in group)
        durations = [event.duration_ms for event in group if event.duration_ms]
        times = (sum(durations) / len(durations), min(durations), max(durations)) if durations else ()
        cells = [milliseconds(value) for value in times] or ["–"] * 3
        table.add_row(one_line(name), str(len(group)), str(len(group) - failed), str(failed), *cells)
    console.print()
    console.print(table, highlight=False)


def _by_name(events: Iterable[EventView]) -> dict[str, list[EventView]]:
    groups: dict[str, list[EventView]] = {}
    for event in events:
        groups.setdefault(event.name, []).append(event)
    return groups


def usage_line(result: Mapping[str, Any]) -> str:
    """`Tokens: … · Cost: …`; what is not known says so and is never 0."""
    usage = result.get("token_usage")
    usage = usage if isinstance(usage, Mapping) else {}
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    total = usage.get("total_tokens")
    tokens = f"{total:,}" if isinstance(total, int) else "unknown"
    if isinstance(prompt, int) and isinstance(completion, int):
        tokens += f" ({prompt:,} prompt, {completion:,} completion)"
    return f"Tokens: {tokens} · Cost: {_cost(result.get('telemetry'))}"


def _cost(telemetry: object) -> str:
    known = telemetry if isinstance(telemetry, Mapping) else {}
    cost = known.get("cost_usd")
    if isinstance(cost, bool) or not isinstance(cost, int | float) or known.get("unpriced"):
        return "unpriced"
    return dollars(float(cost))
