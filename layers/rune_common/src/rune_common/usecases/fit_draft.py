"""Keep a draft small enough for the log; what is too large becomes an artifact (runs-api.md 3.3)."""

from __future__ import annotations

from dataclasses import replace

from rune_common.domain.artifacts import Artifact
from rune_common.domain.canonical import normalise
from rune_common.domain.events import EventDraft, Redacting
from rune_common.domain.payloads import artifact_key, fit_payload, spilled_name, spilled_parts
from rune_common.domain.ports import BlobStore

SMALL_PAYLOAD = 4_096
"""Characters of a payload that is within the limit whatever its canonical form: no text grows eightfold."""


def fit_draft(
    draft: EventDraft, tenant: str, run_id: str, *, blobs: BlobStore, redactor: Redacting
) -> EventDraft:
    """The draft within 32 KiB. Redaction comes before anything leaves it, so artifacts hold no secret.

    What left it enters the run's index with it.
    """
    if len(str(draft.payload)) <= SMALL_PAYLOAD:
        return draft
    redacted, found = redactor.value(normalise(dict(draft.payload), strict=False))
    payload, spilled = fit_payload(redacted)
    if not spilled:
        return draft
    for part in spilled:
        blobs.put(artifact_key(tenant, run_id, part.artifact_id), part.content)
    added = tuple(
        Artifact(part.artifact_id, "other", spilled_name(draft.type, part), part.size_bytes, part.sha256)
        for part in spilled_parts(payload)
        if part.artifact_id in {each.artifact_id for each in spilled}
    )
    return replace(
        draft,
        payload=payload,
        redactions=(*draft.redactions, *found),
        artifacts=(*draft.artifacts, *added),
    )
