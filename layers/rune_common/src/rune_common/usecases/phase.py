"""One phase of a run, shown in its record and its log, and stopped by a cancel or the deadline (jobs-api.md 4.10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from rune_common.domain.driver_protocol import RUN_DEADLINE, RUN_TIMED_OUT
from rune_common.domain.errors import RunCancelled, RunFailure
from rune_common.domain.events import EventDraft, EventUsage, Redacting
from rune_common.domain.ports import Clock, RunStore
from rune_common.domain.runs import PhaseRecord, Run, RunState
from rune_common.usecases.change_run import Proposal, change_run


class PhasePorts(Protocol):
    @property
    def runs(self) -> RunStore: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def redactor(self) -> Redacting: ...


class Phase:
    """`run` is the run as it was last seen. A phase may go on over several steps: its name tells that it does.

    `stoppable` False is for what has to be done after a cancel as well.
    """

    def __init__(self, run: Run, ports: PhasePorts, *, stoppable: bool = True) -> None:
        self.run, self.ports, self._stoppable = run, ports, stoppable
        self.name, self.began = run.phase or "", run.phase_since or ports.clock()

    def begin(self, name: str, message: str) -> None:
        """Raises RunCancelled."""
        self.name = name
        now = self.ports.clock()

        def decide(run: Run) -> Proposal | None:
            if run.phase == name:
                return None
            shown = replace(run, phase=name, phase_since=now, message=message, percent=None)
            return Proposal(replace(shown, heartbeat_at=None if self._stoppable else now))

        self.change(decide)
        self.began = self.run.phase_since or now

    def done(self, span: str, summary: str, labels: Mapping[str, Any], *, ends: bool = True) -> None:
        """Log what was done; `ends` says that the phase is over."""
        took = self.ports.clock() - self.began
        draft = span_draft(span, summary, labels, duration_ms=took)
        record = PhaseRecord(self.name, "ok", took)
        self.change(lambda run: Proposal(ended(run, record) if ends else run, [draft]))

    def note(self, *drafts: EventDraft, **fields: Any) -> None:
        """Log something and set fields of the run, in one transaction."""
        self.change(lambda run: Proposal(replace(run, **fields), drafts))

    def warn(self, code: str) -> None:
        self.change(lambda run: warned(run, code))

    def fail(
        self, span: str, run_code: str, text: str, labels: Mapping[str, Any] | None = None
    ) -> RunFailure:
        """Log that the phase failed; the caller raises what is returned."""
        took = self.ports.clock() - self.began
        draft = span_draft(
            span, text.removeprefix("Agent error: "), labels or {}, error=run_code.lower(), duration_ms=took
        )
        record = PhaseRecord(self.name, "error", took)
        self.change(lambda run: Proposal(ended(run, record), [draft]))
        return RunFailure(run_code, text)

    def stopping(self) -> bool:
        found = self.ports.runs.get(self.run.tenant, self.run.run_id)
        return found is None or found.terminal or found.state is RunState.CANCELLING

    def expired(self) -> bool:
        return self.run.deadline_at is not None and self.ports.clock() >= self.run.deadline_at

    def check(self, span: str) -> None:
        """Raises RunCancelled, and RunFailure once the run's time is over."""
        if self.stopping():
            raise RunCancelled(self.run.run_id)
        if self.expired():
            raise self.fail(span, RUN_DEADLINE.run or "RUN_TIMEOUT", RUN_TIMED_OUT)

    def change(self, decide: Callable[[Run], Proposal | None]) -> None:
        """Change the run; a stoppable phase raises RunCancelled when it is to stop or has ended."""

        def guarded(run: Run) -> Proposal | None:
            if self._stoppable and (run.terminal or run.state is RunState.CANCELLING):
                raise RunCancelled(run.run_id)
            proposal = decide(run)
            if proposal is None or not run.terminal:
                return proposal
            # Nothing follows the last event of a log; the record may still change.
            return Proposal(proposal.run)

        self.run = change_run(
            self.run.tenant,
            self.run.run_id,
            guarded,
            runs=self.ports.runs,
            clock=self.ports.clock,
            redactor=self.ports.redactor,
        )


def span_draft(
    name: str,
    summary: str,
    labels: Mapping[str, Any],
    *,
    error: str | None = None,
    duration_ms: float = 0,
    usage: EventUsage | None = None,
) -> EventDraft:
    """A job event (jobs-api.md 4.9)."""
    failed = {"error_type": error} if error else {}
    span = {"name": name, "status": "error" if error else "ok", **failed, "labels": dict(labels)}
    return EventDraft(
        "run_progress",
        {"summary": summary, "span": span},
        duration_ms=duration_ms,
        usage=usage or EventUsage(),
    )


def ended(run: Run, record: PhaseRecord) -> Run:
    """The run with a phase that is over; a phase that came again replaces what it was before."""
    others: Sequence[PhaseRecord] = [each for each in run.phases if each.name != record.name]
    return replace(run, phases=(*others, record))


def warned(run: Run, code: str) -> Proposal | None:
    """The run with a warning and its event; None when it has it already."""
    if code in run.warnings:
        return None
    payload = {
        "summary": f"warning: {code}",
        "detail": {"code": code},
        "span": {"name": "job.warning", "status": "ok", "labels": {"code": code}},
    }
    return Proposal(replace(run, warnings=(*run.warnings, code)), [EventDraft("run_progress", payload)])
