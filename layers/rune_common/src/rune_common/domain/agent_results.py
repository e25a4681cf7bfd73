"""The result of an agent's job, from what its driver returned (jobs-api.md 4.8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rune_common.domain.runs import Run

TOKEN_KEYS = ("system_prompt", "tool_calls", "agent_reasoning", "output", "total")
USAGE_KEYS = ("prompt_tokens", "completion_tokens", "total_tokens")


def agent_result(
    driver_result: Mapping[str, Any],
    run: Run,
    request: Mapping[str, Any],
    *,
    warnings: Sequence[str],
    duration_ms: int,
) -> dict[str, Any]:
    """The job's `result`. Its cost is the log's: null and `unpriced` as soon as one call has no price."""
    metadata = _object(driver_result, "metadata")
    telemetry = _object(driver_result, "telemetry")
    usage = _object(driver_result, "token_usage")
    tokens = _object(telemetry, "tokens")
    unpriced = run.usage.unpriced or run.usage.cost_micro_usd is None
    cost = None if unpriced else (run.usage.cost_micro_usd or 0) / 1_000_000
    result: dict[str, Any] = {
        "answer": driver_result.get("answer") or "",
        "result_type": driver_result.get("result_type") or "text",
        "artifacts": [],
        "metadata": {
            "agent_name": run.agent,
            "requested_agent": request.get("requested_agent") or run.agent,
            "model": run.model,
            "backend_type": run.backend_type,
            "driver_version": str(metadata.get("agent_version") or metadata.get("driver_version") or "1"),
            "duration_s": round(duration_ms / 1000, 3),
            "warnings": list(warnings),
        },
        "telemetry": {
            "duration_ms": duration_ms,
            "cost_usd": cost,
            "cost_estimate_usd": cost,
            "tokens": {key: _number(tokens.get(key)) for key in TOKEN_KEYS},
            "latency": telemetry.get("latency") if isinstance(telemetry.get("latency"), list) else [],
        },
        "token_usage": {key: _number(usage.get(key)) for key in USAGE_KEYS},
    }
    if unpriced:
        result["telemetry"]["unpriced"] = True
    else:
        result["metadata"]["cost"] = cost
    if isinstance(driver_result.get("score"), (int, float)):
        result["score"] = driver_result["score"]
    if "data" in driver_result:
        result["data"] = driver_result["data"]
    return result


def warning_codes(driver_result: Mapping[str, Any]) -> tuple[str, ...]:
    """The codes of a driver's `metadata.warnings`, which are words or objects with a `code`."""
    found = _object(driver_result, "metadata").get("warnings")
    items = found if isinstance(found, list) else []
    codes = (item.get("code") if isinstance(item, Mapping) else item for item in items)
    return tuple(code for code in codes if isinstance(code, str))


def _object(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = holder.get(key)
    return found if isinstance(found, Mapping) else {}


def _number(value: object) -> int | float:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else 0
