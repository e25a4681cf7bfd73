"""What the results of an investigation say (holmes-driver.md 6.1, steps 2 and 4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rune.sandbox.ollama import tabular
from rune.sandbox.ollama.causes import Evidence, find_cause
from rune.sandbox.ollama.conversation import Chat
from rune.sandbox.ollama.kubectl_text import Pod, PodDescription, describe, pods_of_table, table
from rune.sandbox.ollama.report import Report, not_inspected, read_back, report_on
from rune.sandbox.ollama.tool_results import ToolResult, tool_results


@dataclass(frozen=True, slots=True)
class Listing:
    """The pods a result listed, and its rows when it came from the tabular tool."""

    pods: tuple[Pod, ...]
    rows: tuple[dict[str, str], ...] = ()


def find_listing(results: Sequence[ToolResult]) -> Listing | None:
    """The last result that lists pods."""
    return next((found for r in reversed(results) if (found := _listing(r)) is not None), None)


def conclude(results: Sequence[ToolResult], namespace: str | None) -> Report:
    """What the results so far amount to; without a list of pods, why there is none."""
    listing = find_listing(results)
    if listing is None:
        told = next((line for r in results if (line := r.obstacle())), None)
        return not_inspected(told or "the tools gave no list of pods.")
    findings = [find_cause(evidence_of(pod, listing, results)) for pod in listing.pods if pod.suspect]
    return report_on(listing.pods, findings, namespace)


def known_report(chat: Chat) -> Report:
    """What a whole conversation holds: its tool results, else an answer found in its text."""
    results = tool_results(chat.messages)
    if find_listing(results) is not None:
        return conclude(results, None)
    for message in reversed(chat.messages):
        if message.role != "system" and (report := read_back(message.text)) is not None:
            return report
    if results:
        return conclude(results, None)
    said = (m.text.strip() for m in reversed(chat.messages) if m.role == "assistant")
    told = next((text for text in said if text), "Nothing was inspected in this conversation.")
    return Report(told, inspected=False)


def evidence_of(pod: Pod, listing: Listing, results: Sequence[ToolResult]) -> Evidence:
    """Everything the results tell of one pod; a later description replaces an earlier one."""
    described: PodDescription | None = None
    unread, logs = None, ""
    for result in results:
        if _logs_of(result, pod):
            logs = "" if result.error else result.output
        elif result.command[:2] == ["kubectl", "describe"] and _is_about(result, pod):
            described = describe(result.output)
            unread = None if described else result.obstacle() or result.error
    row = next((r for r in listing.rows if _row_of(r, pod)), None)
    if described is None and row is not None:
        described, unread = tabular.description_of_row(row, list(_events(results))), None
    nodes = tuple(name for result in results for name in not_ready_nodes(result))
    return Evidence(pod, described or PodDescription(), logs, unread, nodes)


def not_ready_nodes(result: ToolResult) -> list[str]:
    """Names of nodes a list of nodes shows as not ready."""
    if result.command[:3] == ["kubectl", "get", "nodes"]:
        rows = table(result.output, "NAME") or []
        return [row["NAME"] for row in rows if row.get("STATUS", "").startswith("NotReady")]
    if result.call.arguments.get("kind") == "nodes":
        return tabular.not_ready_of_rows(tabular.rows(result.output) or [])
    return []


def _listing(result: ToolResult) -> Listing | None:
    if result.call.name == "kubernetes_tabular_query":
        if result.call.arguments.get("kind") != "pods" or (rows := tabular.rows(result.output)) is None:
            return None
        pods = tabular.pods_of_rows(rows)
        return None if pods is None else Listing(tuple(pods), tuple(rows))
    if result.command[:3] in (["kubectl", "get", "pods"], ["kubectl", "get", "pod"]):
        found = pods_of_table(result.output, result.option("-n", "--namespace"))
        return None if found is None else Listing(tuple(found))
    return None


def _events(results: Sequence[ToolResult]) -> Iterable[dict[str, str]]:
    for result in results:
        if result.call.arguments.get("kind") == "events":
            yield from tabular.rows(result.output) or []


def _logs_of(result: ToolResult, pod: Pod) -> bool:
    if result.command[:2] == ["kubectl", "logs"]:
        return _is_about(result, pod)
    given = result.call.arguments
    read = result.call.name == "fetch_pod_logs"
    return read and (given.get("namespace"), given.get("pod_name")) == (pod.namespace, pod.name)


def _is_about(result: ToolResult, pod: Pod) -> bool:
    return pod.name in result.command and result.option("-n", "--namespace") == pod.namespace


def _row_of(row: dict[str, str], pod: Pod) -> bool:
    return (row.get("NAMESPACE", "default"), row["NAME"]) == (pod.namespace, pod.name)
