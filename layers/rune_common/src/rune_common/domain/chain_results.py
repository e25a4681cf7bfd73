"""The result of a chain, complete after each of its steps (jobs-api.md 4.8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rune_common.domain.agent_results import TOKEN_KEYS
from rune_common.domain.chains import ChainState, joined_answer, overall_status, step_results
from rune_common.domain.runs import Run

Json = Mapping[str, Any]


def chain_result(run: Run, chain: ChainState, before: Json | None, *, now_ms: int) -> dict[str, Any]:
    """What the steps came to so far. `before` is the result as it was, which holds the answers.

    Costs and token counts are the log's: null and `unpriced` as soon as one call has no price.
    """
    answers, kept = chain_answers(before), before or {}
    took = now_ms - (run.started_at or now_ms)
    usage = run.usage
    unpriced = usage.unpriced or usage.cost_micro_usd is None
    cost = None if unpriced else (usage.cost_micro_usd or 0) / 1_000_000
    metadata = {
        "agent_name": run.agent,
        "requested_agent": run.agent,
        "model": run.model,
        "backend_type": run.backend_type,
        "driver_version": _object(kept, "metadata").get("driver_version") or "1",
        "duration_s": round(took / 1000, 3),
        "warnings": list(run.warnings),
    }
    telemetry = {
        "duration_ms": took,
        "cost_usd": cost,
        "cost_estimate_usd": cost,
        "tokens": _object(_object(kept, "telemetry"), "tokens") or dict.fromkeys(TOKEN_KEYS, 0),
        "latency": [
            {"phase": step.name, "ms": step.finished_at - step.started_at}
            for step in chain.steps
            if step.started_at is not None and step.finished_at is not None
        ],
    }
    return {
        "run_id": run.run_id,
        "overall_status": overall_status(chain),
        "steps": step_results(chain, answers),
        "answer": joined_answer(chain, answers),
        "result_type": "text",
        "artifacts": [],
        "metadata": {**metadata, **({} if unpriced else {"cost": cost})},
        "telemetry": {**telemetry, **({"unpriced": True} if unpriced else {})},
        "token_usage": {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
        },
    }


def with_answer(before: Json | None, step: str, driver_result: Json) -> dict[str, Any]:
    """The result so far with one more step's answer and tokens; to be completed by `chain_result`."""
    kept = before or {}
    steps = {**_object(kept, "steps"), step: {"answer": str(driver_result.get("answer") or "")}}
    said = _object(driver_result, "metadata")
    version = said.get("agent_version") or said.get("driver_version")
    metadata = {**_object(kept, "metadata"), **({"driver_version": str(version)} if version else {})}
    known = _object(_object(kept, "telemetry"), "tokens")
    added = _object(_object(driver_result, "telemetry"), "tokens")
    tokens = {key: _number(known.get(key)) + _number(added.get(key)) for key in TOKEN_KEYS}
    return {**kept, "steps": steps, "metadata": metadata, "telemetry": {"tokens": tokens}}


def chain_answers(result: Json | None) -> dict[str, str]:
    """The answers by step, whole."""
    steps = _object(result or {}, "steps")
    return {name: step["answer"] for name, step in steps.items() if "answer" in step}


def _object(holder: Json, key: str) -> Json:
    found = holder.get(key)
    return found if isinstance(found, Mapping) else {}


def _number(value: object) -> int | float:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else 0
