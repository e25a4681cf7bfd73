"""The first step of a run's execution: from queued to running (runs-api.md 2.6 row 3)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rune_common.domain.errors import RunCancelled, WorkOver
from rune_common.domain.events import EventDraft, Redacting
from rune_common.domain.ports import Clock, RunStore
from rune_common.domain.runs import PhaseRecord, Run, RunState, Trigger, transition
from rune_common.usecases.change_run import Proposal, change_run


@dataclass(frozen=True, slots=True)
class Admission:
    """`go`: the run is to go on. `waits`: for decisions, before anything else."""

    go: bool
    waits: bool


def admit_run(tenant: str, run_id: str, *, runs: RunStore, clock: Clock, redactor: Redacting) -> Admission:
    """Begin a run, or take up one that had begun.

    Raises RunCancelled while it is cancelling, WorkOver when its outcome is known: then the machine ends it.
    """

    def decide(run: Run) -> Proposal | None:
        if run.state is RunState.CANCELLING:
            raise RunCancelled(run_id)
        if run.state is RunState.RUNNING and run.outcome is not None:
            raise WorkOver(run_id)
        if run.state is not RunState.QUEUED:
            return None
        started = replace(
            run,
            state=transition(run.state, Trigger.START),
            started_at=clock(),
            message="job is running",
            phase="admit",
            phases=(PhaseRecord("admit", "ok", 0),),
        )
        payload = {"summary": "run started", "runtime_profile": "container_readonly", "context_files": []}
        return Proposal(started, [EventDraft("run_started", payload)])

    run = change_run(tenant, run_id, decide, runs=runs, clock=clock, redactor=redactor)
    return Admission(not run.terminal, run.waits)
