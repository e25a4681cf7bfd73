"""Writes what an agent's attempt does into the run's log, in batches (holmes-driver.md 2.9, runs-api.md 13)."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from rune_common.domain.errors import AttemptSuperseded, RuneError
from rune_common.domain.events import EventDraft, Redacting
from rune_common.domain.executions import AgentTask
from rune_common.domain.legs import alive, owns, stop_reason
from rune_common.domain.ports import BlobStore, Clock, RunStore
from rune_common.domain.runs import Run
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.fit_draft import fit_draft

logger = logging.getLogger("rune.attempts")

MAX_BATCH = 20
FLUSH_SECONDS = 0.2


class AttemptLog:
    """A writer thread over one attempt's events, so that a slow table never slows the agent down.

    `stop` is called once, with the reason, when the attempt must not go on: `cancelled`, `superseded`, or
    `failed` when the log cannot be written.
    """

    def __init__(
        self,
        task: AgentTask,
        *,
        runs: RunStore,
        blobs: BlobStore,
        clock: Clock,
        redactor: Redacting,
        stop: Callable[[str], None],
    ) -> None:
        self._task, self._runs, self._blobs = task, runs, blobs
        self._clock, self._redactor, self._stop = clock, redactor, stop
        self._waiting: queue.SimpleQueue[EventDraft | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="attempt-log", daemon=True)
        self.failure: Exception | None = None
        self.model_call_begun = False

    def start(self) -> None:
        self._thread.start()

    def add(self, drafts: Sequence[EventDraft]) -> None:
        for draft in drafts:
            self._waiting.put(draft)

    def close(self) -> None:
        """Write what is waiting and end. `failure` says whether everything was written."""
        self._waiting.put(None)
        self._thread.join()

    def fit(self, draft: EventDraft) -> EventDraft:
        """The draft, redacted and small enough for the log; what leaves it is kept as an artifact."""
        ours = replace(draft, step_id=self._task.step_id or None)
        return fit_draft(
            ours, self._task.tenant, self._task.run_id, blobs=self._blobs, redactor=self._redactor
        )

    def _write(self) -> None:
        open_ = True
        while open_:
            batch, open_ = self._batch()
            if not batch or self.failure:
                continue
            try:
                self._append(batch)
            except Exception as exc:
                # Whatever it is, an agent must not go on unseen.
                if not isinstance(exc, RuneError):
                    logger.exception("an attempt's events could not be written")
                self.failure = exc
                self._stop("superseded" if isinstance(exc, AttemptSuperseded) else "failed")

    def _batch(self) -> tuple[list[EventDraft], bool]:
        first = self._waiting.get()
        if first is None:
            return [], False
        batch, until = [first], time.monotonic() + FLUSH_SECONDS
        while len(batch) < MAX_BATCH:
            try:
                draft = self._waiting.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if draft is None:
                return batch, False
            batch.append(draft)
        return batch, True

    def _append(self, batch: Sequence[EventDraft]) -> None:
        drafts = [self.fit(draft) for draft in batch]

        def decide(run: Run) -> Proposal:
            owned_by(run, self._task.attempt_id)
            begun = self.model_call_begun
            known = alive(run, self._task.attempt_id, now_ms=self._clock(), model_call_begun=begun)
            return Proposal(known, drafts)

        run = change_run(
            self._task.tenant,
            self._task.run_id,
            decide,
            runs=self._runs,
            clock=self._clock,
            redactor=self._redactor,
        )
        reason = stop_reason(run, self._task.attempt_id)
        if reason:
            self._stop(reason)


def owned_by(run: Run, attempt_id: str) -> None:
    """Raises AttemptSuperseded when the run has ended or belongs to a newer attempt."""
    if not owns(run, attempt_id):
        raise AttemptSuperseded(run.run_id)
