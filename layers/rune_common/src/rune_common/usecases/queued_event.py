"""`run_queued`, the first event of a log, with a digest of the request that it holds (runs-api.md 3.2, 7.2)."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from rune_common.domain.canonical import canonical_json, normalise
from rune_common.domain.events import EventDraft, Redacting
from rune_common.domain.ports import BlobStore
from rune_common.usecases.fit_draft import fit_draft

_SAME_LENGTH = "0" * 64


def fit_queued(
    draft: EventDraft, tenant: str, run_id: str, *, blobs: BlobStore, redactor: Redacting
) -> EventDraft:
    """The draft within 32 KiB, its payload with `request_sha256`.

    The digest is of the canonical form of `request` as the log will hold it, redacted: so whoever has only the
    evidence can check it, and nobody can try secrets against it.
    """
    sized = replace(draft, payload={**draft.payload, "request_sha256": _SAME_LENGTH})
    fitted = fit_draft(sized, tenant, run_id, blobs=blobs, redactor=redactor)
    request, _ = redactor.value(normalise(dict(fitted.payload["request"]), strict=False))
    digest = hashlib.sha256(canonical_json(request)).hexdigest()
    return replace(fitted, payload={**fitted.payload, "request_sha256": digest})
