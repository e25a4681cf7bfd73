"""One command while it runs: its output into the log, its limits, its end (runs-api.md 2.3, 2.7, 5.4)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from rune_common.domain.artifact_events import artifact_added
from rune_common.domain.artifacts import known_artifact, make_artifact, plain_name
from rune_common.domain.commands import (
    NOT_REDACTED,
    STEP_ID,
    TIMED_OUT,
    CommandRunner,
    CommandSpec,
    CommandStart,
    RunningCommand,
    command_outcome,
    environment,
)
from rune_common.domain.driver_protocol import RUN_DEADLINE, RUN_TIMED_OUT
from rune_common.domain.errors import AttemptSuperseded, Unavailable
from rune_common.domain.events import EventDraft
from rune_common.domain.executions import AgentTask, TaskCallbacks
from rune_common.domain.legs import alive, stop_reason
from rune_common.domain.payloads import artifact_key
from rune_common.domain.ports import BlobStore, Clock, RunStore
from rune_common.domain.redaction import Redactor
from rune_common.domain.runs import Outcome, PhaseRecord, Run, RunState
from rune_common.usecases.attempt_log import owned_by
from rune_common.usecases.attempt_watch import AttemptWatch
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.command_output import CommandOutput, RedactionFailed
from rune_common.usecases.driver_artifacts import MAX_FILES, driver_artifacts
from rune_common.usecases.phase import ended

READ_SECONDS = 0.1
TIMEOUT_GRACE_SECONDS = 5.0
DEFAULT_GRACE_SECONDS = 30
FULL_BATCH = 16
NOT_STARTED = 127
MAX_ENDING_FILES = 30
"""Files that fit into one transaction with the end of the step."""

logger = logging.getLogger("rune.attempts")


class Ports(Protocol):
    @property
    def runs(self) -> RunStore: ...
    @property
    def blobs(self) -> BlobStore: ...
    @property
    def runner(self) -> CommandRunner: ...
    @property
    def callbacks(self) -> TaskCallbacks: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def seconds(self) -> Callable[[], float]: ...
    @property
    def redactor_for(self) -> Callable[[Iterable[str]], Redactor]: ...
    @property
    def path(self) -> str: ...
    @property
    def poll_seconds(self) -> float: ...


class CommandAttempt:
    """`run` is the run as it was when its step began; `folder` is private and removed afterwards."""

    def __init__(self, task: AgentTask, run: Run, spec: CommandSpec, folder: Path, ports: Ports) -> None:
        self._task, self._run, self._spec, self._ports = task, run, spec, ports
        self._work, self._home, self._spool = (folder / name for name in ("work", "home", "spool"))
        self._redactor = ports.redactor_for(spec.secrets)
        self._began = ports.seconds()
        self._stopped = threading.Event()
        self._reason = ""
        self._seen = run.head.sequence
        self._graced = False

    def work(self) -> Run:
        """Run the command to its end, whichever that is. Raises AttemptSuperseded, RunNotFound, Unavailable."""
        for folder in (self._work, self._home, self._spool):
            folder.mkdir(mode=0o700)
        output = CommandOutput(
            STEP_ID,
            self._redactor,
            self._spool,
            first_seq=self._run.reported.terminal_seq + 1,
            clock=self._ports.seconds,
        )
        watch = AttemptWatch(
            self._task,
            runs=self._ports.runs,
            callbacks=self._ports.callbacks,
            clock=self._ports.clock,
            redactor=self._redactor,
            stop=self._stop,
            poll_seconds=self._ports.poll_seconds,
        )
        watch.start()
        try:
            process = self._start()
            if process is None:
                return self._ended(output, NOT_STARTED, command_outcome(NOT_STARTED))
            return self._carried(process, output)
        finally:
            watch.close()
            output.discard()

    def _start(self) -> RunningCommand | None:
        spec = self._spec
        folder = self._work / spec.cwd
        folder.mkdir(parents=True, exist_ok=True)
        variables = environment(spec, path=self._ports.path, home=str(self._home), run_id=self._run.run_id)
        try:
            return self._ports.runner.start(CommandStart(spec.argv, variables, folder))
        except (OSError, ValueError) as exc:
            logger.info("a command could not be started: %s", type(exc).__name__)
            return None

    def _carried(self, process: RunningCommand, output: CommandOutput) -> Run:
        try:
            outcome = self._followed(process, output)
        except RedactionFailed:
            logger.exception("the output of a command could not be redacted")
            outcome = NOT_REDACTED
        finally:
            process.stop(0)
        exit_code = self._exit_code(process)
        if self._reason in ("superseded", "failed"):
            raise AttemptSuperseded(self._run.run_id)
        return self._ended(output, exit_code, outcome or command_outcome(exit_code))

    def _followed(self, process: RunningCommand, output: CommandOutput) -> Outcome | None:
        """Until nothing more comes. The outcome, if it is another than the exit code's."""
        outcome: Outcome | None = None
        while True:
            piece = process.read(READ_SECONDS)
            if piece is not None:
                output.feed(piece.stream, piece.data)
            elif process.exit_code is not None:
                self._write(output.close())
                return outcome
            if output.due or output.waiting >= FULL_BATCH:
                self._write(output.take())
            if self._stopped.is_set():
                self._end(process)
            elif outcome is None and (late := self._late()) is not None:
                outcome = late
                process.stop(TIMEOUT_GRACE_SECONDS)

    def _late(self) -> Outcome | None:
        if self._ports.seconds() - self._began >= self._spec.timeout_seconds:
            return TIMED_OUT
        deadline = self._run.deadline_at
        if deadline is not None and self._ports.clock() >= deadline:
            return Outcome(RunState.FAILED, RUN_DEADLINE.run, RUN_TIMED_OUT)
        return None

    def _stop(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._stopped.set()

    def _end(self, process: RunningCommand) -> None:
        if not self._graced:
            self._graced = True
            process.stop(self._grace() if self._reason == "cancelled" else 0)

    def _grace(self) -> float:
        """What the cancel said; it is in the log, after all that this attempt knows of from before it."""
        task, after = self._task, self._seen
        while True:
            page = self._ports.runs.events(task.tenant, task.run_id, after=after)
            for event in page.events:
                after = event.sequence
                if event.type == "cancel_requested":
                    return _grace_of(event.document()["payload"])
            if not page.more:
                return DEFAULT_GRACE_SECONDS

    def _exit_code(self, process: RunningCommand) -> int:
        while (code := process.exit_code) is None:
            process.read(READ_SECONDS)
        return code

    def _write(self, drafts: Sequence[EventDraft]) -> None:
        for start in range(0, len(drafts), FULL_BATCH):
            self._append(drafts[start : start + FULL_BATCH])

    def _append(self, batch: Sequence[EventDraft]) -> None:
        def propose(run: Run) -> Proposal:
            reported = replace(run.reported, terminal_seq=batch[-1].payload["terminal_seq"])
            return Proposal(replace(self._alive(run), reported=reported), batch)

        run = self._change(propose)
        if run.state is RunState.RUNNING:
            self._seen = run.head.sequence
        reason = stop_reason(run, self._task.attempt_id)
        if reason:
            self._stop(reason)

    def _ended(self, output: CommandOutput, exit_code: int, outcome: Outcome) -> Run:
        """The end of the step, its files and the outcome, in one transaction."""
        took = self._ports.seconds() - self._began
        failed = outcome is NOT_REDACTED
        files = [] if failed else list(islice(self._files(output), MAX_ENDING_FILES))
        digests = {} if failed else output.digests()

        def decide(run: Run) -> Proposal:
            # What ended because it was told to did not end by itself, whatever it says.
            cancelled = run.state is RunState.CANCELLING and self._graced
            state = "succeeded" if outcome.status is RunState.SUCCEEDED else "failed"
            state = "cancelled" if cancelled else state
            payload = {
                "summary": f"the command ended with exit code {exit_code}",
                "step_id": STEP_ID,
                "state": state,
                "exit_code": exit_code,
                **digests,
            }
            after = replace(self._alive(run), reported=replace(run.reported, steps=()))
            if not cancelled:
                after = replace(after, outcome=outcome)
            status = "ok" if state == "succeeded" else "error"
            after = ended(after, PhaseRecord("command", status, round(took * 1000)))
            done = EventDraft("step_completed", payload, step_id=STEP_ID, duration_ms=round(took * 1000))
            return Proposal(after, [*files, done])

        return self._change(decide)

    def _files(self, output: CommandOutput) -> Iterator[EventDraft]:
        """Both streams, and what the command was asked to leave. A store that does not answer costs the files."""
        try:
            for stream, file in output.files():
                name = f"{STEP_ID}.{stream.name}.log"
                artifact = known_artifact(
                    "log", name, stream.size_bytes, stream.sha256, now_ms=self._ports.clock()
                )
                self._ports.blobs.put_file(self._key(artifact.artifact_id), file)
                yield artifact_added(artifact)
            found = {"artifacts": list(islice(self._listed(), MAX_FILES))}
            for handed in driver_artifacts(found, self._work, redactor=self._redactor):
                kept = make_artifact(handed.kind, handed.name, handed.content, now_ms=self._ports.clock())
                self._ports.blobs.put(self._key(kept.artifact_id), handed.content)
                yield artifact_added(kept)
        except Unavailable as exc:
            logger.warning("a command's files were not kept: %s", exc.code)

    def _listed(self) -> Iterator[dict[str, Any]]:
        known: set[Path] = set()
        for pattern in self._spec.artifacts:
            for path in self._work.glob(pattern):
                relative = path.relative_to(self._work)
                if relative not in known and path.is_file() and not path.is_symlink():
                    known.add(relative)
                    name = plain_name(str(relative).replace("/", "_"))
                    yield {"kind": "other", "name": name, "path": str(relative)}

    def _key(self, artifact_id: str) -> str:
        return artifact_key(self._task.tenant, self._task.run_id, artifact_id)

    def _alive(self, run: Run) -> Run:
        return alive(run, self._task.attempt_id, now_ms=self._ports.clock())

    def _change(self, propose: Callable[[Run], Proposal]) -> Run:
        def decide(run: Run) -> Proposal:
            owned_by(run, self._task.attempt_id)
            return propose(run)

        ports, task = self._ports, self._task
        return change_run(
            task.tenant, task.run_id, decide, runs=ports.runs, clock=ports.clock, redactor=self._redactor
        )


def _grace_of(payload: dict[str, Any]) -> float:
    if payload.get("mode") == "force":
        return 0
    seconds = payload.get("grace_seconds")
    return float(seconds) if isinstance(seconds, int) else DEFAULT_GRACE_SECONDS
