"""One attempt of an agent: claim the run, run a leg, store how it ended, answer (holmes-driver.md 2.9)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from rune_common.domain.agent_events import AgentLog
from rune_common.domain.agent_results import agent_result, warning_codes
from rune_common.domain.driver_protocol import (
    ERRORS,
    RUN_DEADLINE,
    RUN_TIMED_OUT,
    DriverFailure,
    DriverSuccess,
    DriverTransport,
)
from rune_common.domain.errors import AttemptSuperseded, RunNotFound
from rune_common.domain.events import Redacting, total_usage
from rune_common.domain.executions import AgentTask, TaskCallbacks, Workspaces
from rune_common.domain.kubeconfig_secrets import kubeconfig_secrets
from rune_common.domain.ports import BlobStore, Clock, RunRequest, RunStore
from rune_common.domain.prices import PriceBook, TokenPrice
from rune_common.domain.runs import Outcome, PhaseRecord, Run, RunState
from rune_common.usecases.attempt_artifacts import keep_driver_artifacts
from rune_common.usecases.attempt_leg import AttemptLeg, LegEnd, Resumption, ToolApproval, output_folder
from rune_common.usecases.attempt_log import owned_by
from rune_common.usecases.attempt_watch import POLL_SECONDS
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.phase import ended
from rune_common.usecases.resume_attempt import (
    carried_usage,
    may_pause,
    open_calls,
    pause_proposal,
    resumption_of,
)
from rune_common.usecases.settle_approvals import AskingPorts

MAX_ATTEMPTS = 3
MAX_ERROR_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class AttemptPorts:
    """What an attempt needs. `driver_timeout`: seconds that one call of the driver may take.

    `approval_key` gives the secret under which the agent signs calls that wait; "" where none can wait.
    """

    runs: RunStore
    blobs: BlobStore
    driver: DriverTransport
    callbacks: TaskCallbacks
    workspaces: Workspaces
    clock: Clock
    redactor_for: Callable[[Iterable[str]], Redacting]
    prices: PriceBook
    approval_key: Callable[[], str] = str
    driver_timeout: int = 900
    poll_seconds: float = POLL_SECONDS


def run_attempt(task: AgentTask, *, ports: AttemptPorts) -> None:
    """Run the agent once and answer the task token. A repeated or superseded attempt ends quietly.

    How it ended is stored before the token is answered, so the state machine never knows more than the log.
    """
    try:
        run, resumption = _claim(task, ports)
        request = ports.runs.request(task.tenant, task.run_id)
        if run.state is RunState.CANCELLING or request is None:
            ports.callbacks.fail(task.task_token, "Rune.Permanent" if request is None else "Rune.Cancelled")
            return
        redactor = ports.redactor_for(kubeconfig_secrets(request.secrets.get("kubeconfig", "")))
        log = AgentLog(task.attempt_id, run.model, _prices(run, ports.prices), carried_usage(resumption))
        log.take_over(open_calls(resumption))
        key = ports.approval_key() if may_pause(request) or resumption else ""
        leg = AttemptLeg(
            task,
            log,
            runs=ports.runs,
            blobs=ports.blobs,
            callbacks=ports.callbacks,
            clock=ports.clock,
            redactor=redactor,
            poll_seconds=ports.poll_seconds,
            approval=ToolApproval(key, resumption),
        )
        with ports.workspaces.open() as folder:
            end = leg.run(ports.driver, run, request, folder, driver_timeout=ports.driver_timeout)
            if end.stopped_by != "superseded":
                keep_driver_artifacts(task, end.ended, output_folder(folder), ports, redactor)
        stored = None if end.stopped_by == "superseded" else _store(task, ports, request, end, redactor)
    except (AttemptSuperseded, RunNotFound):
        return
    if stored is not None:
        _answer(task, ports.callbacks, stored)


def _prices(run: Run, book: PriceBook) -> PriceBook:
    """Tokens of a rented instance cost nothing more: its time pays for them (jobs-api.md 7.2)."""
    return {run.model: TokenPrice(0, 0)} if run.rentals else book


def _claim(task: AgentTask, ports: AttemptPorts) -> tuple[Run, Resumption | None]:
    """Take the attempt that `start_attempt` began, and the pause that it goes on from.

    A pause is taken over once, so what was approved is not done twice. Raises AttemptSuperseded when the attempt
    was taken before.
    """
    resumption: Resumption | None = None

    def decide(run: Run) -> Proposal | None:
        nonlocal resumption
        if run.state is RunState.CANCELLING:
            return None
        owned_by(run, task.attempt_id)
        if run.attempt_claimed:
            raise AttemptSuperseded(run.run_id)
        resumption = resumption_of(run, ports.runs)
        return Proposal(replace(run, attempt_claimed=True, heartbeat_at=ports.clock(), pause=None))

    run = change_run(
        task.tenant, task.run_id, decide, runs=ports.runs, clock=ports.clock, redactor=ports.redactor_for(())
    )
    return run, resumption


def _store(
    task: AgentTask, ports: AttemptPorts, request: RunRequest, end: LegEnd, redactor: Redacting
) -> Run:
    asking = AskingPorts(ports.runs, ports.blobs, ports.clock, redactor)

    def decide(run: Run) -> Proposal:
        owned_by(run, task.attempt_id)
        if end.pending and run.state is RunState.RUNNING:
            return pause_proposal(run, request, end, asking)
        alive = replace(
            run, heartbeat_at=ports.clock(), model_call_begun=run.model_call_begun or end.model_call_begun
        )
        status = "error" if isinstance(end.ended, DriverFailure) else "ok"
        alive = ended(alive, PhaseRecord("ask", status, end.duration_ms))
        if end.pending:
            return Proposal(alive, end.drafts)  # it is being cancelled: there is nothing to wait for
        if isinstance(end.ended, DriverFailure):
            return Proposal(replace(alive, outcome=_failed(end.ended, end, alive, redactor)), end.drafts)
        return _succeeded(end.ended, end, alive, request, redactor)

    return change_run(task.tenant, task.run_id, decide, runs=ports.runs, clock=ports.clock, redactor=redactor)


def _succeeded(
    success: DriverSuccess, end: LegEnd, run: Run, request: RunRequest, redactor: Redacting
) -> Proposal:
    warnings = tuple(dict.fromkeys((*run.warnings, *warning_codes(success.result))))
    after = replace(run, outcome=Outcome(RunState.SUCCEEDED), warnings=warnings, has_result=True)
    counted = replace(after, usage=total_usage(run.usage, (draft.usage for draft in end.drafts)))
    result, _ = redactor.value(
        agent_result(
            success.result, counted, request.document, warnings=warnings, duration_ms=end.duration_ms
        )
    )
    return Proposal(replace(after, score=result.get("score")), end.drafts, result=result)


def _failed(failure: DriverFailure, end: LegEnd, run: Run, redactor: Redacting) -> Outcome | None:
    """The run's error: a fixed text for its own deadline, else one sentence, redacted and short.

    None when the state machine may try again: a transient failure before the first model call (2.6).
    """
    if failure.error_code == "deadline_exceeded" and end.on_run_deadline:
        return Outcome(RunState.FAILED, RUN_DEADLINE.run, RUN_TIMED_OUT, failure.error_code)
    again = failure.retryable and not run.model_call_begun and run.attempt < MAX_ATTEMPTS
    if again and run.state is RunState.RUNNING:
        return None
    text, _ = redactor.value(failure.error)
    code = ERRORS[failure.error_code].run or "AGENT_ERROR"
    return Outcome(RunState.FAILED, code, f"Agent error: {text}"[:MAX_ERROR_CHARACTERS], failure.error_code)


def _answer(task: AgentTask, callbacks: TaskCallbacks, stored: Run) -> None:
    if stored.state is RunState.CANCELLING:
        callbacks.fail(task.task_token, "Rune.Cancelled")
    elif stored.pause is not None:
        callbacks.succeed(task.task_token, {"outcome": "approval_required", "attempt_id": task.attempt_id})
    elif stored.outcome is None:
        callbacks.fail(task.task_token, "Rune.Transient")
    elif stored.outcome.status is RunState.SUCCEEDED:
        callbacks.succeed(task.task_token, {"outcome": "completed", "attempt_id": task.attempt_id})
    else:
        callbacks.fail(task.task_token, "Rune.Permanent")
