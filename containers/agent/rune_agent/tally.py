"""What an investigation adds up to: tool calls, tokens, times, the result (holmes-driver.md 2.5)."""

from __future__ import annotations

import json
import time
from typing import Any

from rune_agent.order import Order
from rune_agent.patches import LIBRARY_VERSION, Truncations
from rune_agent.structured import StructuredAnswer
from rune_common.domain.driver_protocol import Outcome

Json = dict[str, Any]

EXCERPT_BYTES = 2_048
DENIED = ("Tool call rejected:", "Tool execution was denied", "Tool execution was cancelled")
USAGE = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens")


class Tally:
    def __init__(self, order: Order, truncations: Truncations) -> None:
        self._order = order
        self._truncations = truncations
        self._began = time.monotonic()
        self._tool_seconds = 0.0
        self._llm_seconds = 0.0
        self._mark = self._began
        self._usage: Json = dict.fromkeys(USAGE, 0)
        self._compactions = 0
        self.tool_calls: list[Json] = []
        self.warnings: list[str] = []
        self.llm_calls = 0
        self.waiting_for_llm = False

    # -- during the loop ---------------------------------------------------------------------------

    def new_turn(self, turn: int) -> None:
        self._settle()
        self.waiting_for_llm = True

    def counted(self, data: Json) -> Json:
        """
        The model has answered. The library's costs begin anew with each of its loops; returned are those
        of this whole leg, so that whoever follows them sees them grow only.
        """
        self._settle()
        self.waiting_for_llm = False
        metadata = data.get("metadata") or {}
        costs = metadata.get("costs")
        if not costs:
            return data
        grown = {name: self._usage[name] + int(costs.get(name) or 0) for name in USAGE}
        return {**data, "metadata": {**metadata, "costs": {**costs, **grown}}}

    def started(self) -> None:
        """A tool starts: the model's call has ended."""
        self._settle()
        self.waiting_for_llm = False

    def result(self, data: Json) -> Json:
        """Note a tool's result; returns the event's data, corrected where the library is too kind."""
        data = {**data, "result": corrected(data.get("tool_name", ""), data["result"])}
        result = data["result"]
        if result["status"] == "error" and str(result.get("error") or "").startswith(DENIED):
            data["denied"] = True
        call_id = data["tool_call_id"]
        truncated = self._truncations.of(call_id)
        data["result"]["truncated"] = truncated
        if result["status"] != "approval_required":
            self.tool_calls = [call for call in self.tool_calls if call["tool_call_id"] != call_id]
            self.tool_calls.append(_record(data, truncated))
        return data

    def finished_leg(self, data: Json) -> None:
        """The library's loop ended; its statistics are those of this loop alone."""
        self._settle()
        self.waiting_for_llm = False
        costs = data.get("costs") or {}
        for name in USAGE:
            self._usage[name] += int(costs.get(name) or 0)
        self._compactions += int(costs.get("num_compactions") or 0)

    def spent(self, usage: Any) -> None:
        """A call beside the library's loop, which its statistics do not have."""
        for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
            self._usage[name] += int(getattr(usage, name, None) or 0)

    def _settle(self) -> None:
        """Attribute the time since the last mark to the model or to the tools."""
        now = time.monotonic()
        if self.waiting_for_llm:
            self._llm_seconds += now - self._mark
        else:
            self._tool_seconds += now - self._mark if self.tool_calls else 0.0
        self._mark = now

    # -- results -----------------------------------------------------------------------------------

    def completed(self, answer: str, structured: StructuredAnswer | None, data: Json) -> Json:
        valid = structured is not None and structured.valid
        result = self._common(data)
        result |= {
            "outcome": Outcome.COMPLETED,
            "answer": answer,
            "analysis": answer,
            "result_type": "structured" if valid else "text",
            "pending_approvals": [],
        }
        if structured is not None:
            result["metadata"]["structured_output"] = {"valid": structured.valid}
            if valid:
                result["data"] = structured.data
        return result

    def paused(self, data: Json) -> Json:
        result = self._common(data)
        pending = data["pending_approvals"]
        result |= {
            "outcome": Outcome.APPROVAL_REQUIRED,
            "answer": "",
            "analysis": "",
            "result_type": "text",
            "pending_approvals": pending,
            # Encrypted and kept outside the log by the caller; given back with the decisions.
            "resume_state": {
                "messages": data["messages"],
                "pending_approvals": pending,
                "carry": self._carry(data),
            },
        }
        return result

    def _carry(self, data: Json) -> Json:
        carried = self._order.carry
        active = int(carried.get("active_ms") or 0) + int((time.monotonic() - self._began) * 1_000)
        return {"active_ms": active, "num_llm_calls": data["num_llm_calls"], "usage": self._total_usage()}

    def _total_usage(self) -> Json:
        before = self._order.carry.get("usage") or {}
        usage = {name: self._usage[name] + int(before.get(name) or 0) for name in USAGE}
        return {**usage, "llm_calls": self.llm_calls + int(before.get("llm_calls") or 0)}

    def _common(self, data: Json) -> Json:
        order, metadata = self._order, data.get("metadata") or {}
        usage = self._total_usage()
        context = metadata.get("tokens") or {}
        output = int((metadata.get("usage") or {}).get("completion_tokens") or 0)
        cost = _cost(order.llm_args, usage)
        return {
            "tool_calls": self.tool_calls,
            "conversation": {"handle": None, "message_count": len(data.get("messages") or [])},
            "artifacts": [],
            "metadata": {
                "agent_name": "holmes",
                "agent_version": LIBRARY_VERSION,
                "model": order.shown_model,
                "backend_type": order.backend_type,
                "context_window": order.context_window,
                "max_output_tokens": order.max_output_tokens,
                "finish_reason": metadata.get("finish_reason"),
                "num_llm_calls": data["num_llm_calls"],
                "num_compactions": self._compactions,
                "truncations": self._truncations.records,
                "warnings": self.warnings,
                "ignored_params": [],
            },
            "telemetry": {
                "tokens": {
                    "system_prompt": context.get("system_tokens", 0),
                    "tool_calls": context.get("tools_tokens", 0),
                    "agent_reasoning": max(0, usage["completion_tokens"] - output),
                    "output": output,
                    "total": usage["prompt_tokens"] + usage["completion_tokens"],
                },
                "latency": [
                    {"phase": "llm", "ms": int(self._llm_seconds * 1_000)},
                    {"phase": "tools", "ms": int(self._tool_seconds * 1_000)},
                ],
                "cost_estimate_usd": cost,
                "unpriced": cost is None,
            },
            "token_usage": usage,
        }


def corrected(tool_name: str, result: Json) -> Json:
    """A Kubernetes query that printed an error and no rows failed, whatever the library says."""
    if not tool_name.startswith("kubernetes_") or result.get("status") != "success":
        return dict(result)
    try:
        document = json.loads(result.get("data") or "")
    except ValueError:
        return dict(result)
    if not isinstance(document, dict) or not document.get("stderr"):
        return dict(result)
    if any(document.get(rows) for rows in ("items", "preview", "rows", "matches", "output", "data")):
        return dict(result)
    return {**result, "status": "error", "error": str(document["stderr"])[:EXCERPT_BYTES]}


def _record(data: Json, truncated: bool) -> Json:
    result = data["result"]
    text = result.get("data") if isinstance(result.get("data"), str) else ""
    body = (text or str(result.get("error") or "")).encode("utf-8", errors="replace")
    return {
        "tool_call_id": data["tool_call_id"],
        "tool_name": data.get("tool_name"),
        "toolset_name": data.get("toolset_name"),
        "description": data.get("description"),
        "params": result.get("params"),
        "status": result["status"],
        "error": result.get("error"),
        "elapsed_ms": int((result.get("elapsed_seconds") or 0.0) * 1_000),
        "bytes": len(body),
        "truncated": truncated,
        "excerpt": body[:EXCERPT_BYTES].decode("utf-8", errors="ignore"),
    }


def _cost(llm_args: Json, usage: Json) -> float | None:
    """From the model entry's prices; 0.0 counts as stated. The library's own figure is never used."""
    prices = llm_args.get("input_cost_per_token"), llm_args.get("output_cost_per_token")
    if prices[0] is None or prices[1] is None:
        return None
    return float(usage["prompt_tokens"] * float(prices[0]) + usage["completion_tokens"] * float(prices[1]))
