"""One agent job from submit to answer, the same for every backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rune.cli.backends import JobsBackend
from rune.cli.failures import (
    SIGINT_EXIT,
    SIGTERM_EXIT,
    CliFailure,
    Interrupted,
    JobFailed,
    Terminated,
)
from rune.cli.job_view import EventView, JobView
from rune.cli.progress import Progress

LONGEST_WAIT = 3_600.0
CANCEL_POLL = 0.5


@dataclass(frozen=True, slots=True)
class Finished:
    job: JobView
    events: tuple[EventView, ...]


@dataclass(frozen=True, slots=True)
class Workflow:
    """`sleep` and `monotonic` are in seconds."""

    backend: JobsBackend
    progress: Progress
    sleep: Callable[[float], None]
    monotonic: Callable[[], float]

    def submit(self, document: dict[str, Any], kubeconfig: str | None, idempotency_key: str | None) -> str:
        """The job's id. Raises CliFailure when it is refused, Interrupted on a signal."""
        self.progress.phase("submitting")
        try:
            job_id = self.backend.submit(document, kubeconfig, idempotency_key)
        except (KeyboardInterrupt, Terminated) as signal:
            raise Interrupted(_exit_code(signal)) from None
        self.progress.submitted(job_id)
        return job_id

    def wait(self, job_id: str, *, answers: bool = True) -> Finished:
        """Follow the job to its end, at most an hour; `answers` says that it has to have an answer.

        Raises JobFailed for a job that failed, was cancelled or has no answer; CliFailure when the hour is
        over (the job goes on); Interrupted after a signal, once the job was asked to stop; Declined when a
        person did not want what would have been rented.
        """
        seen: list[EventView] = []
        try:
            job = self._follow(job_id, seen)
        except (KeyboardInterrupt, Terminated) as signal:
            raise Interrupted(_exit_code(signal), job_id=job_id, status=self._stop(job_id)) from None
        self.progress.finish(job)
        if not job.succeeded:
            message = f"Job {job_id} failed: {job.error}"
            raise JobFailed(message, code=job.error_code, job_id=job_id, status=job.status, result=job.result)
        if answers and not str((job.result or {}).get("answer") or "").strip():
            message = f"Job {job_id} ended without an answer"
            raise JobFailed(message, code="empty_answer", job_id=job_id, status=job.status, result=job.result)
        return Finished(job, tuple(seen))

    def _follow(self, job_id: str, seen: list[EventView]) -> JobView:
        deadline = self.monotonic() + LONGEST_WAIT
        while True:
            # The record first: the events read after a terminal record are then complete.
            job = JobView.of(self.backend.job(job_id))
            self.progress.job(job)
            for raw in self.backend.events(job_id, seen[-1].seq if seen else 0):
                seen.append(EventView.of(raw))
                self.progress.event(seen[-1])
            if job.terminal:
                return job
            if self.monotonic() >= deadline:
                hint = f"it goes on; look again with `rune --backend http jobs get {job_id}`"
                message = f"Job {job_id} has not ended after {LONGEST_WAIT:.0f} s"
                raise CliFailure(message, code="wait_timeout", hint=hint, job_id=job_id, status=job.status)
            self.sleep(self.backend.poll_seconds)

    def _stop(self, job_id: str) -> str:
        """Ask the job to stop and wait for it, as long as the backend needs. The last known status.

        Never raises CliFailure. A second signal ends the waiting at once.
        """
        self.progress.cancel()
        status = "cancelling"
        deadline = self.monotonic() + self.backend.cancel_seconds
        try:
            self.backend.cancel(job_id, self.backend.cancel_seconds)
            while self.monotonic() < deadline:
                job = JobView.of(self.backend.job(job_id))
                if job.terminal:
                    self.progress.finish(job)
                    return job.status
                self.sleep(CANCEL_POLL)
        except (CliFailure, KeyboardInterrupt, Terminated) as problem:
            self.progress.note(f"the job may still be running: {problem or 'interrupted again'}")
        return status


def _exit_code(signal: BaseException) -> int:
    return SIGTERM_EXIT if isinstance(signal, Terminated) else SIGINT_EXIT
