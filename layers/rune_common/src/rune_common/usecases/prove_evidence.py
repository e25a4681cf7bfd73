"""Merkle proofs over a run's log, and the keys that sign its evidence (runs-api.md 7.4)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rune_common.domain.access import Principal
from rune_common.domain.errors import BlobNotFound, FieldProblem, InvalidRequest, RunNotFound
from rune_common.domain.evidence.kept import KeptSignatures, SignatureMissing
from rune_common.domain.evidence.keys import KeyRing, PublishedKey, Signer
from rune_common.domain.evidence.notes import Checkpoint, checkpoint_origin, sign_checkpoint
from rune_common.domain.jobs import checked_job_id
from rune_common.domain.merkle import consistency_proof, inclusion_proof, leaf_hash, merkle_root
from rune_common.domain.stored_lines import read_line
from rune_common.usecases.export_evidence import BUILD_MS
from rune_common.usecases.seal_evidence import (
    LEAVES,
    SIGNATURES,
    EvidencePorts,
    evidence_key,
    find_sealed,
    stored_lines,
)

HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That an event is in the tree. Hashes are base64; `checkpoint` is the signed note."""

    leaf_index: int
    tree_size: int
    leaf: str
    hashes: tuple[str, ...]
    root: str
    checkpoint: str


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That an earlier log is a prefix of a later one. Hashes are base64."""

    from_size: int
    to_size: int
    hashes: tuple[str, ...]
    from_root: str
    to_root: str


def prove_inclusion(
    run_id: str, caller: Principal, sequence: int, *, at_sequence: int | None, ports: EvidencePorts
) -> InclusionProof:
    """Raises RunNotFound, InvalidRequest."""
    leaves = _leaves(run_id, caller.tenant, at_sequence, "at_sequence", ports)
    if not 1 <= sequence <= len(leaves):
        raise _outside("sequence")
    root = merkle_root(leaves)
    return InclusionProof(
        leaf_index=sequence - 1,
        tree_size=len(leaves),
        leaf=_base64(leaves[sequence - 1]),
        hashes=tuple(map(_base64, inclusion_proof(leaves, sequence - 1))),
        root=_base64(root),
        checkpoint=_checkpoint(caller.tenant, run_id, len(leaves), root, ports),
    )


def prove_consistency(
    run_id: str, caller: Principal, from_size: int, to_size: int, *, ports: EvidencePorts
) -> ConsistencyProof:
    """Raises RunNotFound, InvalidRequest."""
    leaves = _leaves(run_id, caller.tenant, to_size, "to_size", ports)
    if not 0 <= from_size <= len(leaves):
        raise _outside("from_size")
    return ConsistencyProof(
        from_size=from_size,
        to_size=len(leaves),
        hashes=tuple(map(_base64, consistency_proof(leaves, from_size))),
        from_root=_base64(merkle_root(leaves[:from_size])),
        to_root=_base64(merkle_root(leaves)),
    )


def list_evidence_keys(*, keys: KeyRing) -> Sequence[PublishedKey]:
    """Every key that signs or ever signed evidence, oldest first."""
    return keys.published()


def _leaves(run_id: str, tenant: str, upto: int | None, field: str, ports: EvidencePorts) -> Sequence[str]:
    """The leaf hashes of the first `upto` events: kept with sealed evidence, else made from the log."""
    sealed = find_sealed(tenant, checked_job_id(run_id), blobs=ports.blobs)
    if sealed is not None:
        known = ports.blobs.get(evidence_key(tenant, run_id, sealed.at_sequence, LEAVES))
        size = _checked(sealed.at_sequence, upto, field)
        return [known[at : at + HASH_BYTES].hex() for at in range(0, size * HASH_BYTES, HASH_BYTES)]
    run = ports.runs.get(tenant, run_id)
    if run is None:
        raise RunNotFound(run_id)
    timed = replace(ports, deadline=ports.clock() + BUILD_MS)
    lines = stored_lines(tenant, run_id, _checked(run.head.sequence, upto, field), ports=timed)
    return [leaf_hash(found.entry if (found := read_line(raw)) else raw) for raw in lines]


def _checked(size: int, upto: int | None, field: str) -> int:
    if upto is not None and not 1 <= upto <= size:
        raise _outside(field)
    return size if upto is None else upto


def _checkpoint(tenant: str, run_id: str, size: int, root: str, ports: EvidencePorts) -> str:
    """The signed tree head: the kept one where this size was signed before."""

    def signed(signer: Signer) -> str:
        origin = checkpoint_origin(signer.key.name, tenant, run_id)
        return sign_checkpoint(Checkpoint(origin, size, root), signer).decode()

    try:
        kept = ports.blobs.get(evidence_key(tenant, run_id, size, SIGNATURES))
        return signed(KeptSignatures.read(kept))
    except (BlobNotFound, SignatureMissing):
        return signed(ports.keys.signer())


def _outside(field: str) -> InvalidRequest:
    return InvalidRequest(FieldProblem(field, "out_of_range", "must be a sequence of the log"))


def _base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()
