"""A tenant's counters: unfinished runs, and those of them that hold a slot (jobs-api.md 2)."""

from __future__ import annotations

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_client import Write
from rune_common.domain.runs import Run


def count_writes(
    tenant: str,
    before: Run | None,
    after: Run,
    *,
    max_active: int | None = None,
    max_running: int | None = None,
) -> list[Write]:
    """What a run's change means for its tenant's counters: one write that keeps to their limits, or none."""
    active = _is_active(after) - _is_active(before)
    running = _is_running(after) - _is_running(before)
    if not active and not running:
        return []
    changes = {"active": active, "running": running}
    limits = {"active": max_active, "running": max_running}
    limited = [name for name, limit in limits.items() if limit is not None]
    return [
        Write(
            "update",
            key=keys.counts_key(tenant),
            change="ADD " + ", ".join(f"{name} :{name}" for name, change in changes.items() if change),
            condition=" AND ".join(f"({_below(name)})" for name in limited),
            values={
                **{f":{name}": change for name, change in changes.items() if change},
                **{f":max_{name}": limits[name] for name in limited},
            },
        )
    ]


def _below(name: str) -> str:
    return f"attribute_not_exists({name}) OR {name} < :max_{name}"


def _is_active(run: Run | None) -> int:
    return int(run is not None and not run.terminal)


def _is_running(run: Run | None) -> int:
    return int(run is not None and run.holds_slot and not run.terminal)
