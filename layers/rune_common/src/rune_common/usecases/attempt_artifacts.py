"""Keeping what a driver hands over, while its folder still exists (jobs-api.md 10, holmes-driver.md 2.5)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

from rune_common.domain.artifact_events import artifact_added
from rune_common.domain.artifacts import make_artifact
from rune_common.domain.driver_protocol import DriverFailure, DriverSuccess
from rune_common.domain.errors import Unavailable
from rune_common.domain.events import EventDraft, Redacting
from rune_common.domain.executions import AgentTask
from rune_common.domain.payloads import artifact_key
from rune_common.domain.ports import BlobStore, Clock, RunStore
from rune_common.domain.runs import Run
from rune_common.usecases.attempt_log import owned_by
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.driver_artifacts import driver_artifacts

BATCH = 20

logger = logging.getLogger("rune.attempts")


class ArtifactPorts(Protocol):
    @property
    def runs(self) -> RunStore: ...
    @property
    def blobs(self) -> BlobStore: ...
    @property
    def clock(self) -> Clock: ...


def keep_driver_artifacts(
    task: AgentTask,
    ended: DriverSuccess | DriverFailure,
    folder: Path,
    ports: ArtifactPorts,
    redactor: Redacting,
) -> None:
    """Store the driver's files and enter them into the run's index. Raises AttemptSuperseded, RunNotFound.

    A store that does not answer costs the files, not the answer.
    """
    said = ended.result if isinstance(ended, DriverSuccess) else ended.details
    drafts = _drafts(task, said, folder, ports, redactor)
    try:
        while batch := list(islice(drafts, BATCH)):
            _append(task, batch, ports, redactor)
    except Unavailable as exc:
        logger.warning("a driver's artifacts were not kept: %s", exc.code)


def _drafts(
    task: AgentTask, said: dict[str, object], folder: Path, ports: ArtifactPorts, redactor: Redacting
) -> Iterator[EventDraft]:
    for file in driver_artifacts(said, folder, redactor=redactor):
        artifact = make_artifact(file.kind, file.name, file.content, now_ms=ports.clock())
        ports.blobs.put(artifact_key(task.tenant, task.run_id, artifact.artifact_id), file.content)
        yield artifact_added(artifact)


def _append(task: AgentTask, drafts: Sequence[EventDraft], ports: ArtifactPorts, redactor: Redacting) -> None:
    def decide(run: Run) -> Proposal:
        owned_by(run, task.attempt_id)
        return Proposal(run, drafts)

    change_run(task.tenant, task.run_id, decide, runs=ports.runs, clock=ports.clock, redactor=redactor)
