"""The evidence of a run, written together with its end (jobs-api.md 10)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rune_common.domain.artifact_events import artifact_added, result_item
from rune_common.domain.artifacts import Artifact, make_artifact
from rune_common.domain.errors import BlobNotFound
from rune_common.domain.events import Event, EventDraft
from rune_common.domain.evidence_documents import (
    Product,
    bill_of_materials,
    facts_of,
    provenance,
    run_evidence,
)
from rune_common.domain.payloads import artifact_key, spilled_name, spilled_parts
from rune_common.domain.ports import BlobStore, Clock, RunStore
from rune_common.domain.run_log import run_log
from rune_common.domain.runs import Run, RunKind
from rune_common.usecases.change_run import Proposal
from rune_common.usecases.whole_log import whole_log

logger = logging.getLogger("rune.evidence")

EVIDENCED = frozenset({RunKind.AGENT, RunKind.BENCHMARK, RunKind.LLM_INSTANCE, RunKind.CHAIN})
NOT_WRITTEN = "evidence_not_written"


@dataclass(frozen=True, slots=True)
class EvidenceWriter:
    """Adds evidence to the transaction that ends a run: before its terminal event, or not at all.

    The files are stored first, under names made from their content, so that a transaction which loses a race
    leaves nothing wrong behind. A failure to write evidence never keeps a run from ending.
    """

    runs: RunStore
    blobs: BlobStore
    clock: Clock
    product: Product

    def __call__(self, before: Run, proposal: Proposal) -> Proposal:
        if before.terminal or not proposal.run.terminal or before.kind not in EVIDENCED:
            return proposal
        try:
            return self._sealed(before, proposal)
        except Exception:
            logger.exception("the evidence of a run could not be written")
            warned = replace(proposal.run, warnings=(*proposal.run.warnings, NOT_WRITTEN))
            drafts = [*proposal.drafts[:-1], _warning(), proposal.drafts[-1]]
            return replace(proposal, run=warned, drafts=drafts)

    def _sealed(self, before: Run, proposal: Proposal) -> Proposal:
        after, tenant, run_id = proposal.run, before.tenant, before.run_id
        result = proposal.result
        if result is None and before.has_result:
            result = self.runs.result(tenant, run_id)
        present = list(self.runs.artifacts(tenant, run_id))
        events = [*whole_log(before, self.runs)]
        now_ms = self.clock()
        facts = facts_of(events)
        files = [
            ("slsa_provenance", "provenance.intoto.json", provenance(after, facts, result, self.product)),
            (
                "sbom",
                "sbom.cdx.json",
                bill_of_materials(after, facts, result, self.product, now_ms=now_ms),
            ),
            ("run_evidence", "evidence.json", run_evidence(before, after, result, now_ms=now_ms)),
        ]
        contents = [(kind, name, _pretty(document)) for kind, name, document in files]
        contents.append(("log", "run.log", run_log(events, self._driver_logs(before, present)).encode()))
        added = [self._stored(before, *each, now_ms=now_ms) for each in contents]
        asked = _asked(before, events[0], present)
        every = [*asked, *present, *added]
        *drafts, terminal = proposal.drafts
        drafts += [artifact_added(artifact) for artifact in added]
        drafts[-1] = replace(drafts[-1], artifacts=(*drafts[-1].artifacts, *asked))
        if result is not None:
            result = {**result, "artifacts": [result_item(artifact, run_id) for artifact in every]}
        return replace(proposal, drafts=[*drafts, _counted(terminal, len(every))], result=result)

    def _stored(self, run: Run, kind: str, name: str, content: bytes, *, now_ms: int) -> Artifact:
        artifact = make_artifact(kind, name, content, now_ms=now_ms)
        self.blobs.put(artifact_key(run.tenant, run.run_id, artifact.artifact_id), content)
        return artifact

    def _driver_logs(self, run: Run, present: Sequence[Artifact]) -> Iterator[str]:
        for artifact in present:
            if artifact.kind == "log":
                try:
                    content = self.blobs.get(artifact_key(run.tenant, run.run_id, artifact.artifact_id))
                except BlobNotFound:
                    continue
                yield content.decode(errors="replace")


def _asked(run: Run, first: Event, present: Sequence[Artifact]) -> list[Artifact]:
    """What left the first event for its length: that event is written with the run, so no index has it yet."""
    known = {artifact.artifact_id for artifact in present}
    parts = spilled_parts(first.document()["payload"])
    return [
        Artifact(
            part.artifact_id,
            "other",
            spilled_name(first.type, part),
            part.size_bytes,
            part.sha256,
            run.created_at,
        )
        for part in parts
        if part.artifact_id not in known
    ]


def _pretty(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()


def _counted(terminal: EventDraft, artifacts: int) -> EventDraft:
    payload = dict(terminal.payload)
    totals = payload.get("totals")
    payload["totals"] = {**(totals if isinstance(totals, Mapping) else {}), "artifacts": artifacts}
    return replace(terminal, payload=payload)


def _warning() -> EventDraft:
    payload = {
        "summary": f"warning: {NOT_WRITTEN}",
        "detail": {"code": NOT_WRITTEN},
        "span": {"name": "job.warning", "status": "ok", "labels": {"code": NOT_WRITTEN}},
    }
    return EventDraft("run_progress", payload)
