"""What a record of the runs table's stream says about a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rune_common.adapters.dynamodb_keys import run_of_partition
from rune_common.domain.events import Event
from rune_common.domain.runs import TERMINAL, RunState
from rune_common.usecases.count_events import Appended

HEAD = "HEAD"
EVENT = "EVT#"


@dataclass(frozen=True, slots=True)
class RunMoved:
    """A run's record was written; `before` is None when it is new. `released`: its leases were just ended.

    `woken`: what it waited for has just been settled.
    """

    tenant: str
    run_id: str
    before: RunState | None
    after: RunState
    released: bool = False
    woken: bool = False

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
    return RunMoved(
        _text(new, "tenant"),
        _text(new, "run_id"),
        before,
        RunState(_text(new, "state")),
        released="releasing" in new and "releasing" not in (old or {}),
        woken="woken" in new and "woken" not in (old or {}),
    )


def event_appended(record: Mapping[str, Any]) -> Appended | None:
    """None for a record that is no new event of a log."""
    new = record["dynamodb"].get("NewImage")
    if record["eventName"] != "INSERT" or not new or not _text(new, "sk").startswith(EVENT):
        return None
    tenant, run_id = run_of_partition(_text(new, "pk"))
    sequence = int(_text(new, "sk").removeprefix(EVENT))
    return Appended(tenant, run_id, Event(sequence, _text(new, "type"), _text(new, "line").encode()))


def _text(image: Mapping[str, Any], name: str) -> str:
    found: str = image[name]["S"]
    return found
