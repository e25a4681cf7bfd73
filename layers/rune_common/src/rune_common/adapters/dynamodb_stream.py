"""What a record of the runs table's stream says about a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rune_common.domain.runs import TERMINAL, RunState

HEAD = "HEAD"


@dataclass(frozen=True, slots=True)
class RunMoved:
    """A run's record was written; `before` is None when it is new."""

    tenant: str
    run_id: str
    before: RunState | None
    after: RunState

    @property
    def queued(self) -> bool:
        return self.after is RunState.QUEUED and self.before is None

    @property
    def ended(self) -> bool:
        return self.after in TERMINAL and self.before not in TERMINAL


def run_moved(record: Mapping[str, Any]) -> RunMoved | None:
    """None for a record that is no run's head. The record has Lambda's shape for table streams."""
    change = record["dynamodb"]
    new, old = change.get("NewImage"), change.get("OldImage")
    if not new or _text(new, "sk") != HEAD:
        return None
    before = RunState(_text(old, "state")) if old else None
    return RunMoved(_text(new, "tenant"), _text(new, "run_id"), before, RunState(_text(new, "state")))


def _text(image: Mapping[str, Any], name: str) -> str:
    found: str = image[name]["S"]
    return found
