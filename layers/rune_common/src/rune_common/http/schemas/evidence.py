"""Evidence on the wire (runs-api.md 7)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Self

from pydantic import BaseModel

from rune_common.domain.events import timestamp
from rune_common.domain.evidence.keys import ALGORITHM, PublishedKey
from rune_common.usecases.export_evidence import Evidence
from rune_common.usecases.prove_evidence import ConsistencyProof, InclusionProof


class EvidenceKeyView(BaseModel):
    key_id: str
    algorithm: str
    public_key: str
    verifier_key: str
    not_before: str
    retired_at: str | None


class EvidenceKeysView(BaseModel):
    keys: list[EvidenceKeyView]

    @classmethod
    def of(cls, published: Sequence[PublishedKey]) -> Self:
        return cls(keys=[_key_view(each) for each in published])


def _key_view(published: PublishedKey) -> EvidenceKeyView:
    key, retired_at = published.key, published.retired_at
    return EvidenceKeyView(
        key_id=key.key_id,
        algorithm=ALGORITHM,
        public_key=base64.b64encode(key.public).decode(),
        verifier_key=key.verifier_key,
        not_before=timestamp(published.not_before),
        retired_at=None if retired_at is None else timestamp(retired_at),
    )


class InclusionProofView(BaseModel):
    leaf_index: int
    tree_size: int
    leaf: str
    hashes: list[str]
    root: str
    checkpoint: str

    @classmethod
    def of(cls, proof: InclusionProof) -> Self:
        return cls(
            leaf_index=proof.leaf_index,
            tree_size=proof.tree_size,
            leaf=proof.leaf,
            hashes=list(proof.hashes),
            root=proof.root,
            checkpoint=proof.checkpoint,
        )


class ConsistencyProofView(BaseModel):
    from_size: int
    to_size: int
    hashes: list[str]
    from_root: str
    to_root: str

    @classmethod
    def of(cls, proof: ConsistencyProof) -> Self:
        return cls(
            from_size=proof.from_size,
            to_size=proof.to_size,
            hashes=list(proof.hashes),
            from_root=proof.from_root,
            to_root=proof.to_root,
        )


class DownloadView(BaseModel):
    url: str
    sha256: str
    bytes: int
    expires_at: str


class EvidenceLinkView(BaseModel):
    """Where to fetch evidence that is too large to be sent, or was asked for as a link."""

    run_id: str
    at_sequence: int
    download: DownloadView

    @classmethod
    def of(cls, evidence: Evidence, url: str) -> Self:
        download = DownloadView(
            url=url,
            sha256=evidence.sha256,
            bytes=evidence.size,
            expires_at=timestamp(evidence.expires_at),
        )
        return cls(
            run_id=evidence.checked.run_id, at_sequence=evidence.checked.at_sequence, download=download
        )


class BundleView(BaseModel):
    sha256: str
    bytes: int


class EvidenceView(BaseModel):
    """The `json` form; lists that were not asked for are null."""

    run_id: str
    complete: bool
    at_sequence: int
    bundle: BundleView
    manifest: dict[str, Any]
    dsse: dict[str, Any]
    integrity: dict[str, Any]
    redaction: dict[str, Any]
    findings_summary: dict[str, Any]
    run: dict[str, Any]
    approvals: list[dict[str, Any]]
    gates: list[dict[str, Any]]
    usage: dict[str, Any]
    loop: dict[str, Any] | None
    timeline: list[dict[str, Any]] | None
    findings: list[dict[str, Any]] | None
    artifacts: list[dict[str, Any]] | None
    terminal: list[dict[str, Any]] | None
