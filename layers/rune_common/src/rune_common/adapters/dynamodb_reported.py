"""What clients have begun in a run, as a part of its head item, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rune_common.adapters.dynamodb_client import Item
from rune_common.domain.runs import OutputPlace, ReportedWork


def reported_map(work: ReportedWork) -> Item:
    """Empty for work of which nothing is open and nothing was put out."""
    found: Item = {
        "terminal_seq": work.terminal_seq,
        "calls": [list(call) for call in work.calls],
        "steps": list(work.steps),
        "outputs": [[each.step_id, each.stream, each.size_bytes] for each in work.outputs],
    }
    return {name: value for name, value in found.items() if value}


def reported_from(found: Mapping[str, Any]) -> ReportedWork:
    return ReportedWork(
        terminal_seq=int(found.get("terminal_seq", 0)),
        calls=tuple((call_id, name) for call_id, name in found.get("calls", ())),
        steps=tuple(found.get("steps", ())),
        outputs=tuple(
            OutputPlace(step_id, stream, int(size)) for step_id, stream, size in found.get("outputs", ())
        ),
    )
