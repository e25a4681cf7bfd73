"""Looks after an attempt while its agent works: cancel, heartbeats, fencing (holmes-driver.md 2.7, 2.9)."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rune_common.domain.errors import AttemptSuperseded, RunNotFound, Unavailable
from rune_common.domain.events import Redacting
from rune_common.domain.executions import AgentTask, TaskCallbacks
from rune_common.domain.legs import alive, stop_reason
from rune_common.domain.ports import Clock, RunStore
from rune_common.domain.runs import Run
from rune_common.usecases.attempt_log import owned_by
from rune_common.usecases.change_run import Proposal, change_run

POLL_SECONDS = 2.0
BEAT_MS = 30_000


class AttemptWatch:
    """A thread that reads the run every 2 s and beats every 30 s, until closed."""

    def __init__(
        self,
        task: AgentTask,
        *,
        runs: RunStore,
        callbacks: TaskCallbacks,
        clock: Clock,
        redactor: Redacting,
        stop: Callable[[str], None],
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._task, self._runs, self._callbacks = task, runs, callbacks
        self._clock, self._redactor, self._stop, self._poll = clock, redactor, stop, poll_seconds
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="attempt-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        beaten_at = self._clock()
        while not self._closed.wait(self._poll):
            beat = self._clock() - beaten_at >= BEAT_MS
            try:
                stopped = self._look(beat=beat)
            except Unavailable:
                continue  # the next round asks again; a long silence is the state machine's to judge
            if beat:
                beaten_at = self._clock()
            if stopped:
                self._stop(stopped)
                return

    def _look(self, *, beat: bool) -> str | None:
        task = self._task
        if not beat:
            found = self._runs.get(task.tenant, task.run_id)
            return "superseded" if found is None else stop_reason(found, task.attempt_id)
        try:
            return stop_reason(self._beat(), task.attempt_id)
        except (AttemptSuperseded, RunNotFound):
            return "superseded"

    def _beat(self) -> Run:
        """Say that the attempt is alive: to the waiting task, or in its own leg of the run."""
        task, runs, now = self._task, self._runs, self._clock()
        if not task.step_id:
            self._callbacks.heartbeat(task.task_token)
            return runs.beat(task.tenant, task.run_id, task.attempt_id, now_ms=now)

        def decide(run: Run) -> Proposal:
            owned_by(run, task.attempt_id)
            return Proposal(alive(run, task.attempt_id, now_ms=now))

        return change_run(
            task.tenant, task.run_id, decide, runs=runs, clock=self._clock, redactor=self._redactor
        )
