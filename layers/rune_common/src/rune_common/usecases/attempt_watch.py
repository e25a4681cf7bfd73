"""Looks after an attempt while its agent works: cancel, heartbeats, fencing (holmes-driver.md 2.7, 2.9)."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rune_common.domain.errors import AttemptSuperseded, RunNotFound, Unavailable
from rune_common.domain.ports import AgentTask, Clock, RunStore, TaskCallbacks
from rune_common.domain.runs import RunState

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
        stop: Callable[[str], None],
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._task, self._runs, self._callbacks = task, runs, callbacks
        self._clock, self._stop, self._poll = clock, stop, poll_seconds
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
        if beat:
            self._callbacks.heartbeat(task.task_token)
            try:
                run = self._runs.beat(task.tenant, task.run_id, task.attempt_id, now_ms=self._clock())
            except (AttemptSuperseded, RunNotFound):
                return "superseded"
        else:
            found = self._runs.get(task.tenant, task.run_id)
            if found is None or found.terminal or found.attempt_id != task.attempt_id:
                return "superseded"
            run = found
        return "cancelled" if run.state is RunState.CANCELLING else None
