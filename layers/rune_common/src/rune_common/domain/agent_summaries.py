"""What people read of the agent's steps: one line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rune_common.domain.driver_protocol import EventName

_BADGES = (
    ("bash", "RUN"),
    ("TodoWrite", "RECONCILE"),
    ("kubernetes_", "READ"),
    ("fetch_", "READ"),
    ("find", "SEARCH"),
)


PROGRESS_SUMMARIES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    EventName.AGENT_STARTING: lambda data: "agent is starting",
    EventName.AGENT_READY: lambda data: f"agent is ready after {count(data.get('startup_ms')) / 1000:.1f} s",
    EventName.PREFLIGHT: lambda data: (
        f"preflight {data.get('check', '')}: {'ok' if data.get('ok') else 'failed'}"
    ),
    EventName.PULL_PROGRESS: lambda data: "model is being pulled",
    EventName.LLM_RETRY: lambda data: f"model call is tried again (attempt {data.get('attempt', '?')})",
    EventName.WARNING: lambda data: f"warning: {data.get('code', '')}",
    EventName.COMPACTION_START: lambda data: "compaction_started",
    EventName.COMPACTED: lambda data: "compaction_completed",
}


def badge(tool_name: str) -> str:
    """The badge of a tool call (runs-api.md 3.2)."""
    return next((found for prefix, found in _BADGES if tool_name.startswith(prefix)), "READ")


def count(value: object) -> int:
    return int(value) if isinstance(value, (int, float)) and value > 0 else 0


def first_line(text: str) -> str:
    line = text.strip().split("\n", 1)[0]
    return line[:160] or "message"


def tool_summary(name: str, args: Mapping[str, Any]) -> str:
    said = next((str(args[key]) for key in ("command", "pod_name", "kind", "query") if args.get(key)), "")
    return f"{name}: {said}"[:300] if said else name or "tool"
