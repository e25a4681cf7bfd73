"""A chain's state as one item, small enough that showing it costs one read (jobs-api.md 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_client import Item
from rune_common.domain.chain_rules import OnFailure
from rune_common.domain.chains import ChainState, StepRecord, StepState


def chain_item(tenant: str, run_id: str, chain: ChainState) -> Item:
    """What holds its type's zero, or None, takes up no room."""
    return {
        **keys.chain_key(tenant, run_id),
        "on_failure": str(chain.on_failure),
        "steps": [_step_map(step) for step in chain.steps],
        **({"token": chain.token} if chain.token else {}),
    }


def chain_from(item: Mapping[str, Any]) -> ChainState:
    steps = tuple(_step_from(found) for found in item["steps"])
    return ChainState(steps, OnFailure(item["on_failure"]), item.get("token", ""))


def _step_map(step: StepRecord) -> Item:
    found = {
        "name": step.name,
        "agent": step.agent,
        "dependencies": list(step.dependencies),
        "state": str(step.state),
        "started_at": step.started_at,
        "finished_at": step.finished_at,
        "error": step.error,
        "model": step.model,
        "attempts": step.attempts,
        "logged": step.logged,
    }
    return {name: value for name, value in found.items() if value}


def _step_from(found: Mapping[str, Any]) -> StepRecord:
    return StepRecord(
        name=found["name"],
        agent=found["agent"],
        dependencies=tuple(found.get("dependencies", ())),
        state=StepState(found["state"]),
        started_at=_whole(found.get("started_at")),
        finished_at=_whole(found.get("finished_at")),
        error=found.get("error"),
        model=found.get("model", ""),
        attempts=int(found.get("attempts", 0)),
        logged=found.get("logged", False),
    )


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
