"""The driver's call of one attempt, with the log that follows it and the watch that may stop it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rune_common.domain.agent_events import AgentLog
from rune_common.domain.driver_protocol import (
    DriverCall,
    DriverFailure,
    DriverSuccess,
    DriverTransport,
    Outcome,
    failure,
)
from rune_common.domain.events import EventDraft, Redacting
from rune_common.domain.executions import AgentTask, TaskCallbacks
from rune_common.domain.ports import BlobStore, Clock, RunRequest, RunStore
from rune_common.domain.runs import Run
from rune_common.usecases.attempt_log import AttemptLog
from rune_common.usecases.attempt_watch import AttemptWatch

_PARAMS = (
    *("question", "model", "backend_type", "backend_url", "context_window", "require_cluster"),
    *("response_format", "additional_system_prompt"),
)
LOG_LOST = failure("agent_error", "the run's log could not be written")
NO_ANSWER = failure("empty_answer", "the agent gave no answer")


@dataclass(frozen=True, slots=True)
class Resumption:
    """What a leg goes on from: the paused conversation, and one decision for each of its pending calls."""

    state: Mapping[str, Any]
    decisions: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ToolApproval:
    """What becomes of calls outside the agent's allow-list: refused, unless `key` can sign what is to be decided."""

    key: str = ""
    resumption: Resumption | None = None


REFUSED = ToolApproval()


@dataclass(frozen=True, slots=True)
class LegEnd:
    """How a leg ended. `on_run_deadline`: its time limit was the run's own. `drafts` say it in the log."""

    ended: DriverSuccess | DriverFailure
    drafts: list[EventDraft]
    duration_ms: int
    model_call_begun: bool
    stopped_by: str | None
    on_run_deadline: bool

    @property
    def pending(self) -> Sequence[Mapping[str, Any]]:
        """The calls that the agent waits to be decided about; none when it has ended."""
        return _pending(self.ended) if isinstance(self.ended, DriverSuccess) else ()


class AttemptLeg:
    """One use only. `stop` may come from any thread, before the call has begun as well."""

    def __init__(
        self,
        task: AgentTask,
        log: AgentLog,
        *,
        runs: RunStore,
        blobs: BlobStore,
        callbacks: TaskCallbacks,
        clock: Clock,
        redactor: Redacting,
        poll_seconds: float,
        approval: ToolApproval = REFUSED,
    ) -> None:
        self._approval = approval
        self._task, self._log, self._clock = task, log, clock
        self._stopped_by: str | None = None
        self._call: DriverCall | None = None
        self._lock = threading.Lock()
        self._writer = AttemptLog(
            task, runs=runs, blobs=blobs, clock=clock, redactor=redactor, stop=self.stop
        )
        self._watch = AttemptWatch(
            task,
            runs=runs,
            callbacks=callbacks,
            clock=clock,
            redactor=redactor,
            stop=self.stop,
            poll_seconds=poll_seconds,
        )

    def stop(self, reason: str) -> None:
        with self._lock:
            self._stopped_by = self._stopped_by or reason
            call = self._call
        if call is not None:
            call.cancel(reason)

    def run(
        self, driver: DriverTransport, run: Run, request: RunRequest, folder: Path, *, driver_timeout: int
    ) -> LegEnd:
        """Ask the agent and follow it to its end. Never longer than the run's remaining time."""
        began = self._clock()
        remaining = max(0.0, ((run.deadline_at or began) - began) / 1000)
        deadline = min(remaining, float(driver_timeout))
        self._writer.start()
        self._watch.start()
        try:
            ended = self._follow(
                driver,
                driver_params(run, request, folder, timeout_seconds=deadline, approval=self._approval),
                deadline,
            )
        finally:
            self._watch.close()
            self._writer.close()
        if self._writer.failure is not None:
            ended = LOG_LOST
        elif isinstance(ended, DriverSuccess) and not _pending(ended) and not _answered(ended):
            ended = NO_ANSWER
        took = self._clock() - began
        if isinstance(ended, DriverFailure):
            drafts = self._log.failed(ended, duration_ms=took)
        elif pending := _pending(ended):
            ids = [str(call.get("tool_call_id")) for call in pending]
            drafts = self._log.paused(ended, ids, duration_ms=took)
        else:
            drafts = self._log.final(ended, duration_ms=took)
        return LegEnd(
            ended=ended,
            drafts=[self._writer.fit(draft) for draft in drafts],
            duration_ms=took,
            model_call_begun=self._log.model_call_begun,
            stopped_by=self._stopped_by,
            on_run_deadline=remaining <= driver_timeout,
        )

    def _follow(
        self, driver: DriverTransport, params: dict[str, Any], deadline: float
    ) -> DriverSuccess | DriverFailure:
        call = driver.start("ask", params, request_id=self._task.attempt_id, deadline=deadline)
        with self._lock:
            self._call, stopped = call, self._stopped_by
        if stopped:
            call.cancel(stopped)
        for event in call.events():
            drafts = self._log.drafts(event)
            self._writer.model_call_begun = self._log.model_call_begun
            self._writer.add(drafts)
        return call.result()


def output_folder(folder: Path) -> Path:
    """Where in a leg's folder the driver puts its artifacts."""
    return folder / "output"


def _pending(success: DriverSuccess) -> Sequence[Mapping[str, Any]]:
    if success.result.get("outcome") != Outcome.APPROVAL_REQUIRED:
        return ()
    found = success.result.get("pending_approvals")
    return [call for call in found if isinstance(call, Mapping)] if isinstance(found, list) else ()


def _answered(success: DriverSuccess) -> bool:
    return bool(str(success.result.get("answer") or "").strip())


def driver_params(
    run: Run,
    request: RunRequest,
    folder: Path,
    *,
    timeout_seconds: float,
    approval: ToolApproval = REFUSED,
) -> dict[str, Any]:
    """The parameters of `ask` (holmes-driver.md 2.3). A kubeconfig goes into a file of mode 0600.

    The folder for artifacts lies beside it, so nothing that is published can be the kubeconfig.
    """
    output_folder(folder).mkdir(mode=0o700, exist_ok=True)
    params = {name: request.document[name] for name in _PARAMS if request.document.get(name) is not None}
    if run.backend_url:
        params |= {"backend_url": run.backend_url, "model": run.model}
    params |= {
        "run_id": run.run_id,
        "timeout_seconds": max(1, int(timeout_seconds)),
        "output_dir": str(output_folder(folder)),
        # The model was loaded in the phase before this one.
        "backend_warmup": False,
        "tool_approval": "pause" if approval.key else "deny",
        "behavior_controls": {"todowrite_instructions": False, "todowrite_reminder": False},
    }
    if approval.key:
        params["approval_key"] = approval.key
    if approval.resumption is not None:
        params |= {
            "question": "",
            "resume_state": dict(approval.resumption.state),
            "tool_decisions": [dict(each) for each in approval.resumption.decisions],
        }
    kubeconfig = request.secrets.get("kubeconfig")
    if kubeconfig:
        path = folder / "kubeconfig"
        path.touch(mode=0o600)
        path.write_text(kubeconfig)
        params |= {"kubeconfig": str(path), "kubeconfig_path": str(path)}
    return params
