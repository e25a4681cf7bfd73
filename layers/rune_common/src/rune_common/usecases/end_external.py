"""End the runs of clients that went silent (runs-api.md 2.6)."""

from __future__ import annotations

from dataclasses import replace

from rune_common.domain.events import Redacting
from rune_common.domain.external_events import closing_events
from rune_common.domain.ports import Clock, RunStore
from rune_common.domain.run_endings import end_run
from rune_common.domain.runs import Outcome, ReportedWork, Run, RunState, Trigger
from rune_common.usecases.cancel_run import ended_cancelled
from rune_common.usecases.change_run import Proposal, Seal, change_run, unsealed

IDLE = Outcome(RunState.FAILED, "EXTERNAL_IDLE_TIMEOUT", "nothing was told of the run for a day")


def end_external(
    tenant: str, run_id: str, *, runs: RunStore, clock: Clock, redactor: Redacting, seal: Seal = unsealed
) -> bool:
    """End the run if its client had its time: cancelled after its grace, else failed. Whether it has ended."""

    def decide(run: Run) -> Proposal | None:
        due_at = run.due_at()
        if due_at is None or due_at > clock():
            return None
        return seal(run, _ended(run, clock()))

    return change_run(tenant, run_id, decide, runs=runs, clock=clock, redactor=redactor).terminal


def _ended(run: Run, now_ms: int) -> Proposal:
    if run.state is RunState.CANCELLING:
        return ended_cancelled(run, [], now_ms=now_ms)
    ended, drafts = end_run(run, Trigger.FAIL, IDLE, now_ms=now_ms)
    ended = replace(ended, reported=ReportedWork(run.reported.terminal_seq))
    return Proposal(ended, [*closing_events(run.reported), *drafts], forget_request=True)
