"""Read a run's status and its findings (runs-api.md 2.5, 2.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rune_common.domain.access import Principal
from rune_common.domain.fold import RunStatus
from rune_common.domain.ports import RunStore
from rune_common.usecases.find_run import find_run
from rune_common.usecases.run_status import run_status


@dataclass(frozen=True, slots=True)
class FindingPage:
    """The first findings that were asked for, in order of appearance; `more` says whether any were left out."""

    run_id: str
    summary: Mapping[str, int]
    findings: tuple[Mapping[str, Any], ...]
    more: bool


def read_run(run_id: str, caller: Principal, *, runs: RunStore) -> RunStatus:
    """Raises RunNotFound."""
    return run_status(find_run(run_id, caller, runs=runs), runs=runs)


def list_run_findings(
    run_id: str,
    caller: Principal,
    *,
    states: tuple[str, ...] = (),
    severities: tuple[str, ...] = (),
    limit: int,
    runs: RunStore,
) -> FindingPage:
    """Empty filters mean all. Raises RunNotFound."""
    folded = read_run(run_id, caller, runs=runs).findings
    found = [
        finding
        for finding in folded.findings.values()
        if (not states or finding["state"] in states)
        and (not severities or finding["severity"] in severities)
    ]
    return FindingPage(run_id, folded.summary(), tuple(found[:limit]), more=len(found) > limit)
