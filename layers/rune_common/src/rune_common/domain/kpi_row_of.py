"""From a run's log to its KPI row: one pass over the events, when the run has ended (runs-api.md 8)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rune_common.domain.events import epoch_ms
from rune_common.domain.fold import RunStatus
from rune_common.domain.folded_approvals import PARTIAL
from rune_common.domain.json_fields import count, members, micro_usd, number, text
from rune_common.domain.kpi_rows import RunRow
from rune_common.domain.runs import Run, RunKind, RunState

UNCOUNTED = frozenset({RunKind.CHECKPOINT})
LONGEST_SAMPLE = 500
"""A row keeps at most so many times of each sort; of more, an even choice with the shortest and the longest."""

_STATUS = {
    RunState.SUCCEEDED: "completed",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "cancelled",
}
_SETTLED = {
    "approval_approved": "approved",
    "approval_denied": "denied",
    "approval_expired": "expired",
    "approval_cancelled": "cancelled",
    "approval_superseded": "superseded",
}
"""By the event that ends an approval's wait: how it ended."""


@dataclass(slots=True)
class _Times:
    """What the status of a run does not keep: when things began that ended in its log."""

    first_event: str = ""
    tools_ms: float = 0
    unpriced_calls: int = 0
    opened_at: dict[str, str] = field(default_factory=dict)
    asked_at: dict[str, str] = field(default_factory=dict)
    close_ms: list[int] = field(default_factory=list)
    approval_ms: list[int] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def take(self, event: Mapping[str, Any]) -> None:
        kind, at, payload = str(event.get("type")), text(event, "ts") or "", members(event, "payload")
        if not self.first_event and kind != "run_queued":
            self.first_event = at
        usage = members(event, "usage")
        if usage.get("unpriced") is True:
            self.unpriced_calls += count(usage, "llm_calls")
        if kind == "tool_result":
            self.tools_ms += max(0, number(event, "duration_ms") or 0)
        elif kind in ("finding_opened", "finding_resolved", "finding_resurfaced"):
            self._finding(kind, at, _fingerprint(event, payload), payload)
        elif kind == "approval_requested":
            self.asked_at[_approval(event, payload)] = at
        elif kind in _SETTLED and payload.get("decision") != PARTIAL:
            self._settled(_SETTLED[kind], at, _approval(event, payload))

    def _finding(self, kind: str, at: str, key: str, payload: Mapping[str, Any]) -> None:
        self._count(kind)
        if kind == "finding_opened":
            self.opened_at.setdefault(key, at)
        elif kind == "finding_resolved":
            if payload.get("resolution") == "fixed":
                self._count("finding_fixed")
            _note(self.close_ms, self.opened_at.pop(key, ""), at)

    def _settled(self, how: str, at: str, key: str) -> None:
        asked = self.asked_at.pop(key, None)
        if asked is not None:
            self._count("settled")
            self._count(how)
            _note(self.approval_ms, asked, at)

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1


def row_of(run: Run, events: Iterable[Mapping[str, Any]]) -> RunRow | None:
    """The row of an ended run; None for one that has not ended, and for a kind that is not counted.

    `events` are all of its log, in order.
    """
    if run.kind in UNCOUNTED or run.finished_at is None or run.state not in _STATUS:
        return None
    status, times = RunStatus(), _Times()
    for event in events:
        status.take(event)
        times.take(event)
    shown = status.document()
    usage, cost = shown["usage"], shown["usage"]["cost_usd"]
    model = run.model or text(shown, "orchestrator_model") or ""
    named = {model, text(shown, "subagent_model") or "", *status.usage.by_model}
    calls = usage["llm_calls"]
    return RunRow(
        run_id=run.run_id,
        ended_at=run.finished_at,
        kind=str(run.kind),
        status=_STATUS[run.state],
        mode=status.mode,
        exit_reason=text(shown, "exit_reason") or "",
        stop_class=text(shown, "stop_class") or "",
        error_code=run.error_code or "",
        repo=text(shown, "repo") or "",
        model=model,
        used_models=tuple(sorted(named - {""})),
        cost_micro_usd=None if cost is None else micro_usd(cost),
        unpriced=usage["unpriced"],
        tokens=usage["token_usage"],
        tool_calls=usage["tool_calls"],
        subagents=usage["subagent_count"],
        llm_calls=calls,
        unpriced_calls=times.unpriced_calls,
        call_ms=round(max(0, usage["duration_ms"] - times.tools_ms) / calls) if calls else None,
        first_event_ms=_between(run.created_at, times.first_event),
        duration_ms=usage["duration_ms"] if run.started_at is not None else None,
        iterations=len(status.loop_records) if run.kind is RunKind.LOOP else None,
        findings_opened=times.counts.get("finding_opened", 0),
        findings_resolved=times.counts.get("finding_resolved", 0),
        findings_fixed=times.counts.get("finding_fixed", 0),
        findings_resurfaced=times.counts.get("finding_resurfaced", 0),
        close_ms=_sample(times.close_ms),
        approval_ms=_sample(times.approval_ms),
        approvals_settled=times.counts.get("settled", 0),
        approvals_denied=times.counts.get("denied", 0),
        approvals_expired=times.counts.get("expired", 0),
    )


def _fingerprint(event: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
    given = text(payload, "fingerprint") or text(members(payload, "finding"), "fingerprint")
    return given or str(event.get("event_id", ""))


def _approval(event: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
    given = text(payload, "approval_id") or text(members(payload, "approval"), "approval_id")
    return given or str(event.get("event_id", ""))


def _note(times: list[int], start: str, end: str) -> None:
    started = _moment(start)
    spent = None if started is None else _between(started, end)
    if spent is not None:
        times.append(spent)


def _between(start: int, end: str) -> int | None:
    ended = _moment(end)
    return None if ended is None else max(0, ended - start)


def _moment(ts: str) -> int | None:
    try:
        return epoch_ms(ts)
    except (ValueError, OverflowError):
        return None


def _sample(times: list[int]) -> tuple[int, ...]:
    found, last = sorted(times), len(times) - 1
    if len(found) <= LONGEST_SAMPLE:
        return tuple(found)
    return tuple(found[round(at * last / (LONGEST_SAMPLE - 1))] for at in range(LONGEST_SAMPLE))
