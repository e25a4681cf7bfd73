"""What one ended run contributes to the KPI, as a row that stays when the run is gone (runs-api.md 8)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

SERIES = "KPI"
EVIDENCE_SUFFIX = "/evidence"
"""The key of a run's evidence check is its id with this; the run's own row has the bare id."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """One ended run. Times in ms, cost in micro-USD (None: nothing was priced), counts of events.

    `status` is `completed`, `failed` or `cancelled`. `duration_ms` leaves out waiting for approvals, None for
    a run that never started. `first_event_ms`: from `created_at` to the first event after `run_queued`.
    `call_ms` is the mean time of a model call. `used_models`: every model that the run's events or request
    name. `iterations` None: no loop. `close_ms`: from `finding_opened` to `finding_resolved`; `approval_ms`:
    from the request to whatever settled it.
    """

    run_id: str
    ended_at: int
    kind: str
    status: str
    mode: str
    exit_reason: str = ""
    stop_class: str = ""
    error_code: str = ""
    repo: str = ""
    model: str = ""
    used_models: tuple[str, ...] = ()
    cost_micro_usd: int | None = None
    unpriced: bool = False
    tokens: int = 0
    tool_calls: int = 0
    subagents: int = 0
    llm_calls: int = 0
    unpriced_calls: int = 0
    call_ms: int | None = None
    first_event_ms: int | None = None
    duration_ms: int | None = None
    iterations: int | None = None
    findings_opened: int = 0
    findings_resolved: int = 0
    findings_fixed: int = 0
    findings_resurfaced: int = 0
    close_ms: tuple[int, ...] = ()
    approval_ms: tuple[int, ...] = ()
    approvals_settled: int = 0
    approvals_denied: int = 0
    approvals_expired: int = 0
    evidence_verified: bool = False
    evidence_reproduced: bool = False

    @property
    def succeeded(self) -> bool:
        return self.status == "completed"

    @property
    def decided(self) -> bool:
        """It ran to an end of its own: success or failure, no cancel."""
        return self.status in ("completed", "failed")

    @property
    def priced(self) -> bool:
        """Everything it used had a price."""
        return self.cost_micro_usd is not None and not self.unpriced


_SHORT = {
    "ended_at": "e", "kind": "k", "status": "s", "mode": "m", "exit_reason": "x", "stop_class": "sc",
    "error_code": "ec", "repo": "r", "model": "o", "used_models": "u", "cost_micro_usd": "c", "unpriced": "up",
    "tokens": "t", "tool_calls": "tc", "subagents": "sa", "llm_calls": "l", "unpriced_calls": "ul",
    "call_ms": "cm", "first_event_ms": "f", "duration_ms": "d", "iterations": "i", "findings_opened": "fo",
    "findings_resolved": "fr", "findings_fixed": "ff", "findings_resurfaced": "fs", "close_ms": "fc",
    "approval_ms": "a", "approvals_settled": "as", "approvals_denied": "ad", "approvals_expired": "ax",
    "evidence_verified": "ev", "evidence_reproduced": "er",
}  # fmt: skip
"""The names under which a stored row has its members; one that has its default value is left out."""

_LISTS = {"used_models", "close_ms", "approval_ms"}
_DEFAULTS = {each.name: each.default for each in fields(RunRow)}


def pack(row: RunRow) -> str:
    """The row as it is stored, without its id, which is its key."""
    found = {short: getattr(row, name) for name, short in _SHORT.items()}
    given = {_SHORT[name]: default for name, default in _DEFAULTS.items() if name in _SHORT}
    return json.dumps(
        {short: value for short, value in found.items() if value != given[short]}, separators=(",", ":")
    )


def unpack(run_id: str, text: str) -> RunRow:
    """The inverse of `pack`. A member that this version does not know is left out."""
    stored: dict[str, Any] = json.loads(text)
    found: dict[str, Any] = {name: stored[short] for name, short in _SHORT.items() if short in stored}
    for name in _LISTS & found.keys():
        found[name] = tuple(found[name])
    return RunRow(run_id=run_id, **found)


def pack_evidence_check(*, verified: bool, reproduced: bool) -> str:
    """The row of a run's evidence: its check passed; a second build gave the same bytes."""
    return json.dumps({"ev": verified, "er": reproduced}, separators=(",", ":"))


def read_rows(stored: Iterable[tuple[str, str]]) -> list[RunRow]:
    """The rows of the series `KPI`, each with what its evidence check found."""
    rows: dict[str, RunRow] = {}
    checks: dict[str, dict[str, Any]] = {}
    for key, text in stored:
        if key.endswith(EVIDENCE_SUFFIX):
            checks[key.removesuffix(EVIDENCE_SUFFIX)] = json.loads(text)
        else:
            rows[key] = unpack(key, text)
    for run_id in checks.keys() & rows.keys():
        check = checks[run_id]
        rows[run_id] = replace(rows[run_id], evidence_verified=check["ev"], evidence_reproduced=check["er"])
    return list(rows.values())
