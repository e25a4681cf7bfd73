"""Results that a tool call gets without its tool: aborted, refused (runs-api.md 3.2)."""

from __future__ import annotations

from typing import Any

from rune_common.domain.events import EventDraft

ACTOR = "holmes"
SUCCESSFUL = frozenset({"success", "no_data"})


def aborted_call(call_id: str, tool_name: str) -> EventDraft:
    """The result of a tool call that will get no other."""
    payload = {
        "summary": f"{tool_name} aborted",
        "call_id": call_id,
        "tool_name": tool_name,
        "status": "aborted",
        "data": None,
        "span": tool_span(tool_name, "aborted"),
    }
    return EventDraft("tool_result", payload, actor=ACTOR, call_id=call_id)


def refused_call(call_id: str, tool_name: str, reason: str) -> EventDraft:
    """The result of a tool call that was not allowed."""
    payload = {
        "summary": f"{tool_name} denied",
        "call_id": call_id,
        "tool_name": tool_name,
        "status": "denied",
        "data": reason,
        "span": tool_span(tool_name, "denied"),
    }
    return EventDraft("tool_result", payload, actor=ACTOR, call_id=call_id)


def tool_span(tool_name: str, status: str) -> dict[str, Any]:
    failed = {} if status in SUCCESSFUL else {"error_type": f"tool_{status}"}
    state = "error" if failed else "ok"
    return {
        "name": "agent.tool_call",
        "status": state,
        "labels": {"tool": tool_name, "status": status},
        **failed,
    }
