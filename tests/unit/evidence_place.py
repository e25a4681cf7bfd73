"""One tenant's run and its evidence on memory adapters, for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rune_common.adapters.evidence_keys import RecordedKeyRing
from rune_common.adapters.memory import MemoryBlobStore, MemoryRunStore
from rune_common.adapters.scratch_files import ScratchFiles
from rune_common.domain.access import Principal
from rune_common.domain.artifact_events import artifact_added
from rune_common.domain.artifacts import make_artifact
from rune_common.domain.chain import genesis
from rune_common.domain.events import EventDraft, append_event
from rune_common.domain.payloads import artifact_key
from rune_common.domain.ports import RunRequest
from rune_common.domain.redaction import Redactor
from rune_common.domain.run_endings import end_run
from rune_common.domain.runs import LogHead, Outcome, Run, RunKind, RunState, Trigger
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.export_evidence import EvidenceQuery, export_evidence
from rune_common.usecases.seal_evidence import EvidencePorts

CALLER = Principal("ann", "human", "default")
RUN = "run-1"
NOW = 1_767_225_600_000
REPORT = b"All is well.\n"


class Place:
    """One tenant's run with its store; `deadline`-free ports whose clock stands still unless told."""

    def __init__(self, scratch: ScratchFiles) -> None:
        self.runs, self.blobs, self.now = MemoryRunStore(), MemoryBlobStore(), NOW
        self.scratch = scratch
        self.ports = self.with_seed(bytes(32))
        head = LogHead("default", RUN, 0, genesis("default", RUN))
        event, head = append_event(
            head, EventDraft("run_queued", {"request": {"kind": "agent"}}), now_ms=NOW, redactor=Redactor()
        )
        run = Run("default", RUN, RunKind.AGENT, RunState.QUEUED, NOW, NOW, "ann", head)
        self.runs.create(run, RunRequest({}), [event])
        self.change(Trigger.START, EventDraft("run_started", {}))

    def with_seed(self, seed: bytes | None) -> EvidencePorts:
        make = None if seed is None else lambda: seed
        keys = RecordedKeyRing("rune.local", make, self.blobs, lambda: self.now)
        return EvidencePorts(self.runs, self.blobs, keys, lambda: self.now, self.scratch)

    def change(self, trigger: Trigger | None, *drafts: EventDraft) -> None:
        def decide(run: Run) -> Proposal:
            state = RunState.RUNNING if trigger is Trigger.START else run.state
            return Proposal(replace(run, state=state, started_at=NOW), drafts)

        change_run("default", RUN, decide, runs=self.runs, clock=lambda: self.now, redactor=Redactor())

    def work(self, events: int = 3) -> None:
        artifact = make_artifact("report", "report.md", REPORT, now_ms=NOW)
        self.blobs.put(artifact_key("default", RUN, artifact.artifact_id), REPORT)
        self.change(None, artifact_added(artifact))
        for number in range(events):
            self.change(None, EventDraft("run_progress", {"summary": f"step {number}"}))

    def end(self) -> None:
        def decide(run: Run) -> Proposal:
            ended, drafts = end_run(run, Trigger.COMPLETE, Outcome(RunState.SUCCEEDED), now_ms=self.now)
            return Proposal(ended, drafts)

        change_run("default", RUN, decide, runs=self.runs, clock=lambda: self.now, redactor=Redactor())

    def export(self, ports: EvidencePorts | None = None, **query: Any) -> bytes:
        found = export_evidence(RUN, CALLER, EvidenceQuery(**query), ports=ports or self.ports)
        content = b"".join(found.chunks)
        assert len(content) == found.size
        return content

    @property
    def size(self) -> int:
        run = self.runs.get("default", RUN)
        assert run is not None
        return run.head.sequence


class LinkedBlobs(MemoryBlobStore):
    """Blobs with addresses of their own."""

    def link(self, key: str, *, seconds: int, filename: str) -> str | None:
        return f"https://blobs.example/{key}?for={seconds}&as={filename}"
