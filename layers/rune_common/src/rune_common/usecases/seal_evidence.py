"""Build, check and keep a run's evidence bundle (runs-api.md 7.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from rune_common.domain.errors import BlobNotFound, EvidenceBusy, RunNotFound, Unavailable
from rune_common.domain.evidence.bundle import Built, build_bundle
from rune_common.domain.evidence.collector import NamedArtifact
from rune_common.domain.evidence.kept import CheckedBundle, KeepingSigner, KeptSignatures, SignatureMissing
from rune_common.domain.evidence.keys import KeyRing, Signer
from rune_common.domain.evidence.report import TrustedKeys
from rune_common.domain.evidence.spool import Scratch
from rune_common.domain.evidence.verify import verify_bundle
from rune_common.domain.evidence.zip_writer import Sink
from rune_common.domain.payloads import artifact_key
from rune_common.domain.ports import BlobStore, Clock, RunStore

PAGE = 1_000
SIGNATURES, BUNDLE, LEAVES = "signatures.json", "bundle.zip", "leaves"


@dataclass(frozen=True, slots=True)
class EvidencePorts:
    """`deadline` is epoch ms after which a build gives up; None: it takes its time."""

    runs: RunStore
    blobs: BlobStore
    keys: KeyRing
    clock: Clock
    scratch: Scratch
    deadline: int | None = None


def evidence_key(tenant: str, run_id: str, sequence: int, name: str) -> str:
    return f"{tenant}/{run_id}/evidence/{sequence}/{name}"


def sealed_key(tenant: str, run_id: str) -> str:
    """Where it is written that the run's evidence is final; it outlives the run's record."""
    return f"{tenant}/{run_id}/evidence/sealed.json"


def seal_evidence(tenant: str, run_id: str, *, ports: EvidencePorts) -> CheckedBundle:
    """Build the bundle of an ended run twice, check it and store it. Repeating returns what is stored.

    Raises RunNotFound, EvidenceBusy, Unavailable, and ValueError for a run that goes on.
    """
    known = find_sealed(tenant, run_id, blobs=ports.blobs)
    if known is not None:
        return known
    run = ports.runs.get(tenant, run_id)
    if run is None:
        raise RunNotFound(run_id)
    if not run.terminal:
        raise ValueError("the run goes on")
    sequence = run.head.sequence
    with ports.scratch() as file:
        checked = build_checked(tenant, run_id, sequence, file, ports=ports)
        kept = _kept(tenant, run_id, sequence, ports)
        second, _ = _build(tenant, run_id, sequence, kept, _Nowhere(), ports)
        if second.sha256 != checked.sha256:
            raise Unavailable("two builds of one bundle differ")
        ports.blobs.put_file(evidence_key(tenant, run_id, sequence, BUNDLE), file)
    leaves = b"".join(second.log.leaves.chunks())
    ports.blobs.put(evidence_key(tenant, run_id, sequence, LEAVES), leaves)
    sealed = replace(checked, sealed=True, reproducible=True)
    ports.blobs.put_new(sealed_key(tenant, run_id), sealed.document())
    return find_sealed(tenant, run_id, blobs=ports.blobs) or sealed


def find_sealed(tenant: str, run_id: str, *, blobs: BlobStore) -> CheckedBundle | None:
    try:
        return CheckedBundle.read(blobs.get(sealed_key(tenant, run_id)))
    except BlobNotFound:
        return None


def build_checked(
    tenant: str, run_id: str, sequence: int, file: BinaryIO, *, ports: EvidencePorts
) -> CheckedBundle:
    """Write the bundle of the first `sequence` events into an empty file, and check it.

    Its signatures are made once and kept, so a rotated key changes no bundle.
    """
    built, signer = _build_signed(tenant, run_id, sequence, file, ports)
    trusted = TrustedKeys(ports.keys.verify, (signer.key,))
    report = verify_bundle(file, trusted, scratch=ports.scratch)
    return CheckedBundle(
        run_id=run_id,
        at_sequence=sequence,
        complete=built.log.status.complete,
        sha256=built.sha256,
        size=built.size,
        verified=report.ok,
        verified_at=ports.clock(),
        mismatches=tuple(each.document() for each in report.mismatches),
    )


def stored_lines(tenant: str, run_id: str, upto: int, *, ports: EvidencePorts) -> Iterator[bytes]:
    """The log's first lines, page by page. Raises EvidenceBusy after the deadline."""
    after = 0
    while after < upto:
        if ports.deadline is not None and ports.clock() > ports.deadline:
            raise EvidenceBusy("the evidence takes longer than a caller waits")
        page = ports.runs.events(tenant, run_id, after=after, limit=min(PAGE, upto - after))
        if not page.events:
            return
        for event in page.events:
            yield event.body
        after = page.events[-1].sequence


def _build_signed(
    tenant: str, run_id: str, sequence: int, file: BinaryIO, ports: EvidencePorts
) -> tuple[Built, Signer]:
    kept = _kept(tenant, run_id, sequence, ports)
    if kept is not None:
        try:
            return _build(tenant, run_id, sequence, kept, file, ports)
        except SignatureMissing:
            # An older version projected this unfinished log in another way, so there is something new to sign.
            ports.blobs.delete(evidence_key(tenant, run_id, sequence, SIGNATURES))
            file.seek(0)
            file.truncate()
    keeping = KeepingSigner(ports.keys.signer())
    built, _ = _build(tenant, run_id, sequence, keeping, file, ports)
    place = evidence_key(tenant, run_id, sequence, SIGNATURES)
    if ports.blobs.put_new(place, keeping.kept.document()):
        return built, keeping
    # Somebody else signed first, perhaps with another key: theirs count.
    file.seek(0)
    file.truncate()
    return _build(tenant, run_id, sequence, KeptSignatures.read(ports.blobs.get(place)), file, ports)


def _build(
    tenant: str, run_id: str, sequence: int, signer: Signer | None, out: Sink, ports: EvidencePorts
) -> tuple[Built, Signer]:
    chosen = signer or ports.keys.signer()
    built = build_bundle(
        tenant,
        run_id,
        stored_lines(tenant, run_id, sequence, ports=ports),
        lambda artifact: _bytes_of(artifact, tenant, run_id, ports.blobs),
        chosen,
        out=out,
        scratch=ports.scratch,
    )
    return built, chosen


def _bytes_of(artifact: NamedArtifact, tenant: str, run_id: str, blobs: BlobStore) -> Iterable[bytes] | None:
    try:
        return blobs.chunks(artifact_key(tenant, run_id, artifact.artifact_id))
    except BlobNotFound:
        return None


def _kept(tenant: str, run_id: str, sequence: int, ports: EvidencePorts) -> KeptSignatures | None:
    try:
        return KeptSignatures.read(ports.blobs.get(evidence_key(tenant, run_id, sequence, SIGNATURES)))
    except BlobNotFound:
        return None


class _Nowhere:
    """Where a build goes of which only the digest is wanted."""

    def write(self, data: bytes, /) -> None:
        pass
