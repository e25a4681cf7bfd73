"""Add a file to a run whose work a client does (runs-api.md 2.7)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from rune_common.domain.access import Principal
from rune_common.domain.artifact_events import artifact_added
from rune_common.domain.artifacts import Artifact, make_artifact
from rune_common.domain.errors import BodyTooLarge, FieldProblem, InvalidRequest, RunTerminal
from rune_common.domain.events import Redacting
from rune_common.domain.payloads import artifact_key
from rune_common.domain.ports import BlobStore, Clock, Producer, RunChange, RunStore
from rune_common.domain.run_cursors import event_id
from rune_common.domain.runs import Run
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.find_run import find_run, reportable
from rune_common.usecases.keyed_answers import Answer, KeyedAnswers

CREATED = 201
MAX_UPLOAD_BYTES = 4 * 1024 * 1024
_PRODUCER = "\tartifact:"
"""Before an artifact's id it is a producer key that no client can have: theirs hold no control characters."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it was sent; `sha256` is what its sender says that its bytes have."""

    name: str
    kind: str
    content: bytes
    sha256: str | None = None


def upload_run_artifact(
    run_id: str,
    upload: Upload,
    caller: Principal,
    answers: KeyedAnswers,
    *,
    runs: RunStore,
    blobs: BlobStore,
    clock: Clock,
    redactor: Redacting,
) -> Answer:
    """The artifact with the event that tells of it; the same file again is answered with the first one.

    Raises RunNotFound, RunNotExternallyOwned, RunTerminal, BodyTooLarge, InvalidRequest, IdempotencyKeyReused.
    """
    if len(upload.content) > MAX_UPLOAD_BYTES:
        raise BodyTooLarge
    if upload.sha256 is not None and upload.sha256 != hashlib.sha256(upload.content).hexdigest():
        raise InvalidRequest(FieldProblem("sha256", "mismatch", "is not of these bytes"))

    def act() -> Answer:
        run = reportable(find_run(run_id, caller, runs=runs), caller)
        content = redacted(upload.content, redactor)
        artifact = make_artifact(upload.kind, upload.name, content, now_ms=clock())
        blobs.put(artifact_key(run.tenant, run.run_id, artifact.artifact_id), content)
        key = _PRODUCER + artifact.artifact_id
        written: list[Answer] = []
        known: list[Producer] = []

        def decide(run: Run) -> Proposal | None:
            written.clear()
            known[:] = runs.producers(run.tenant, run.run_id, [key]).values()
            if known:
                return None
            if run.terminal:
                raise RunTerminal(run_id)
            place = Producer(key, run.head.sequence + 1, artifact.sha256)

            def claim(change: RunChange) -> Any:
                written.append(_answer(artifact, change.after, place.sequence))
                return answers.claim(run_id, written[-1])

            return Proposal(run, [artifact_added(artifact)], producers=[place], claim=claim)

        run = change_run(caller.tenant, run_id, decide, runs=runs, clock=clock, redactor=redactor)
        return written[-1] if written else answers.keep(run_id, _answer(artifact, run, known[0].sequence))

    return answers.once(act)


def redacted(content: bytes, redactor: Redacting) -> bytes:
    """Text without its secrets; what is no text is kept as it is."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    found, _ = redactor.value(text)
    return str(found).encode()


def artifact_document(artifact: Artifact) -> dict[str, Any]:
    """An artifact as this API tells it, without its event."""
    return {
        "artifact_id": artifact.artifact_id,
        "name": artifact.name,
        "kind": artifact.kind,
        "bytes": artifact.size_bytes,
        "sha256": artifact.sha256,
        "media_type": artifact.media_type,
    }


def _answer(artifact: Artifact, run: Run, sequence: int) -> Answer:
    return Answer(CREATED, {**artifact_document(artifact), "event_id": event_id(run.run_id, sequence)})
