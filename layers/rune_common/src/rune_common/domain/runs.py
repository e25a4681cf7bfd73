"""Runs and the one table of what may become of them (runs-api.md 2.6; a job is a run)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from rune_common.domain.errors import IllegalTransition
from rune_common.domain.rentals import Rental


class RunKind(StrEnum):
    AGENT = "agent"
    BENCHMARK = "benchmark"
    COMMAND = "command"
    EXTERNAL = "external"
    CHAIN = "chain"
    LLM_INSTANCE = "llm_instance"
    COST_ESTIMATE = "cost_estimate"
    LOOP = "loop"
    CHECKPOINT = "checkpoint"


class RunState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting_approval"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})


class Trigger(StrEnum):
    """What moves a run; the numbers are the rows of runs-api.md 2.6."""

    START = "start"  # 3
    CANCEL_QUEUED = "cancel_queued"  # 4
    NEVER_STARTED = "never_started"  # 5
    PAUSE = "pause"  # 6
    RESUME = "resume"  # 7
    CANCEL = "cancel"  # 8
    STOPPED = "stopped"  # 9
    COMPLETE = "complete"  # 10
    FAIL = "fail"  # 11


TRANSITIONS: dict[tuple[RunState, Trigger], RunState] = {
    (RunState.QUEUED, Trigger.START): RunState.RUNNING,
    (RunState.QUEUED, Trigger.CANCEL_QUEUED): RunState.CANCELLED,
    (RunState.QUEUED, Trigger.NEVER_STARTED): RunState.FAILED,
    (RunState.RUNNING, Trigger.PAUSE): RunState.AWAITING_APPROVAL,
    (RunState.AWAITING_APPROVAL, Trigger.RESUME): RunState.RUNNING,
    (RunState.RUNNING, Trigger.CANCEL): RunState.CANCELLING,
    (RunState.AWAITING_APPROVAL, Trigger.CANCEL): RunState.CANCELLING,
    (RunState.CANCELLING, Trigger.STOPPED): RunState.CANCELLED,
    (RunState.RUNNING, Trigger.COMPLETE): RunState.SUCCEEDED,
    (RunState.RUNNING, Trigger.FAIL): RunState.FAILED,
    (RunState.AWAITING_APPROVAL, Trigger.FAIL): RunState.FAILED,
}


def transition(state: RunState, trigger: Trigger) -> RunState:
    """The state that follows. Raises IllegalTransition for everything that the table does not name."""
    try:
        return TRANSITIONS[state, trigger]
    except KeyError:
        raise IllegalTransition(f"{trigger} does not apply to a run that is {state}") from None


@dataclass(frozen=True, slots=True)
class LogHead:
    """Where a run's log ends. `sequence` 0 is the empty log, whose `last_hash` is the genesis hash.

    `last_ts` is ISO-8601 UTC with milliseconds; "" for the empty log. `terminal`: the last event ends the run.
    """

    tenant: str
    run_id: str
    sequence: int
    last_hash: str
    last_ts: str = ""
    terminal: bool = False


@dataclass(frozen=True, slots=True)
class UsageTotals:
    """Sums over a run's log. Cost in micro-USD of the priced calls; `unpriced`: some call had no price."""

    input_tokens: int = 0
    output_tokens: int = 0
    llm_calls: int = 0
    tool_calls: int = 0
    cost_micro_usd: int | None = None
    unpriced: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run's work ended, before the run itself does.

    `error_code` is the run view's code (runs-api.md 14), `error` the text that people read.
    """

    status: RunState
    error_code: str | None = None
    error: str | None = None
    driver_error_code: str | None = None


@dataclass(frozen=True, slots=True)
class PhaseRecord:
    """A phase that has ended (jobs-api.md 4.10); `status` is `ok` or `error`."""

    name: str
    status: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Leg:
    """An attempt of one of several agents of a run: of a chain's step (jobs-api.md 8).

    `claimed` once a worker has taken it. `stopping`: why it is to end, "" while it may go on.
    """

    step_id: str
    attempt_id: str
    heartbeat_at: int
    claimed: bool = False
    model_call_begun: bool = False
    stopping: str = ""


@dataclass(frozen=True, slots=True)
class OutputPlace:
    """How many bytes of a step's output stream are in the log."""

    step_id: str
    stream: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ReportedWork:
    """What the clients of a run have begun and not ended: it is closed when the run ends (runs-api.md 3.2).

    `calls` by id, each with its tool's name. `terminal_seq` counts the run's pieces of output.
    """

    terminal_seq: int = 0
    calls: tuple[tuple[str, str], ...] = ()
    steps: tuple[str, ...] = ()
    outputs: tuple[OutputPlace, ...] = ()


@dataclass(frozen=True, slots=True)
class Pause:
    """A run's wait for decisions (runs-api.md 6.4). Times are epoch ms.

    `due`: when the first of what is pending expires. `settled_at`: since when nothing is waited for any more.
    `token` answers the state machine, once it waits. `started`: an attempt that goes on from here was started; the
    attempt that takes the pause over removes it.
    """

    pause_id: str
    since: int
    due: int
    settled_at: int | None = None
    token: str = ""
    started: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """A run's record: what is known without reading its log. Times are epoch milliseconds.

    `revision` grows with every change and is what a change is conditional on. `holds_slot`: counted among
    the tenant's running runs. `owner` names the engine that executes it. `attempt` counts attempts of the
    agent, `attempt_id` is the newest, `attempt_claimed` once a worker has taken it; `model_call_begun` decides
    whether a lost attempt may be repeated (jobs-api.md 4.1). `backend_url` is the model server that was acquired
    for the run, "" while there is none; `phases` are those that have ended, `phase_since` when the present one
    began. `legs` are the attempts that are under way in a run of several agents, which has no `attempt_id`.
    `mode`, `repo` and `parent_run_id` are what a list asks for. `stop_by`: when the grace of a cancel is over.
    `pause` is there while the run waits for decisions, and until an attempt goes on; `pauses` counts them,
    `waited_ms` is how long the earlier ones took, which is no working time.
    """

    tenant: str
    run_id: str
    kind: RunKind
    state: RunState
    created_at: int
    updated_at: int
    created_by: str
    head: LogHead
    message: str = "accepted"
    revision: int = 1
    model: str = ""
    agent: str = "holmes"
    backend_type: str = "ollama"
    timeout_seconds: int = 3600
    started_at: int | None = None
    finished_at: int | None = None
    phase: str | None = None
    percent: float | None = None
    holds_slot: bool = False
    owner: str = ""
    attempt: int = 0
    attempt_id: str = ""
    attempt_claimed: bool = False
    heartbeat_at: int | None = None
    model_call_begun: bool = False
    outcome: Outcome | None = None
    has_result: bool = False
    error: str | None = None
    error_code: str | None = None
    warnings: tuple[str, ...] = ()
    redactions: int = 0
    usage: UsageTotals = field(default_factory=UsageTotals)
    expires_at: int | None = None
    score: float | None = None
    backend_url: str = ""
    phase_since: int | None = None
    phases: tuple[PhaseRecord, ...] = ()
    rentals: tuple[Rental, ...] = ()
    legs: tuple[Leg, ...] = ()
    mode: str = ""
    repo: str | None = None
    parent_run_id: str | None = None
    stop_by: int | None = None
    reported: ReportedWork = field(default_factory=ReportedWork)
    pause: Pause | None = None
    pauses: int = 0
    waited_ms: int = 0

    @property
    def terminal(self) -> bool:
        return self.state in TERMINAL

    @property
    def deadline_at(self) -> int | None:
        """When the run has used up its time, epoch ms; None before it starts and while it waits for decisions."""
        if self.started_at is None or self.waits:
            return None
        return self.started_at + self.timeout_seconds * 1000 + self.waited_ms

    @property
    def waits(self) -> bool:
        """Whether a decision about what the run does is outstanding."""
        return self.pause is not None and self.pause.settled_at is None

    def due_at(self) -> int | None:
        """When somebody must look at the run if nothing happened, epoch ms; None once it has ended."""
        if self.terminal:
            return None
        if self.state is RunState.QUEUED:
            return (
                self.updated_at + QUEUE_PATIENCE_MS if self.holds_slot else self.created_at + SLOT_PATIENCE_MS
            )
        if self.stop_by is not None:
            return self.stop_by
        if self.pause is not None and not self.pause.started:
            settled_at = self.pause.settled_at
            return self.pause.due if settled_at is None else settled_at + WAKE_PATIENCE_MS
        if self.kind is RunKind.EXTERNAL:
            return self.updated_at + IDLE_PATIENCE_MS
        if self.heartbeat_at is not None:
            return self.heartbeat_at + HEARTBEAT_PATIENCE_MS
        return (self.deadline_at or self.updated_at) + HEARTBEAT_PATIENCE_MS


SLOT_PATIENCE_MS = 60 * 1000
"""A run that waits for a slot is looked at again after this long, in case the end that freed one was missed."""

QUEUE_PATIENCE_MS = 15 * 60 * 1000
"""A run with a free slot that nobody picks up for this long could not be started (jobs-api.md 4.1)."""

HEARTBEAT_PATIENCE_MS = 120 * 1000
"""A worker silent for this long is lost (jobs-api.md 4.1)."""

WAKE_PATIENCE_MS = 20 * 1000
"""A run whose wait is over and that has not gone on after this long is woken again."""

IDLE_PATIENCE_MS = 24 * 60 * 60 * 1000
"""An external run of which nobody has told anything for this long is given up (runs-api.md 2.6)."""
