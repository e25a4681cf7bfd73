"""`build_bundle`: the zip of a run's evidence (runs-api.md 7.1, 7.2, 16)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rune_common.domain.evidence.collector import Collected, NamedArtifact, collect
from rune_common.domain.evidence.dsse import sign_envelope
from rune_common.domain.evidence.keys import Signer
from rune_common.domain.evidence.manifest import predicate, statement
from rune_common.domain.evidence.notes import sign_checkpoint
from rune_common.domain.evidence.projections import CHECKPOINT, ENVELOPE, MANIFEST, checkpoint, projections
from rune_common.domain.evidence.spool import Member, Scratch, Spool, member
from rune_common.domain.evidence.zip_writer import Sink, write_zip

ArtifactBytes = Callable[[NamedArtifact], Iterable[bytes] | None]
"""The bytes of an artifact, None when they are gone."""


@dataclass(frozen=True, slots=True)
class Built:
    """A bundle that was written: its own digest and the log that it holds."""

    sha256: str
    size: int
    log: Collected


def build_bundle(
    tenant: str,
    run_id: str,
    lines: Iterable[bytes],
    artifacts: ArtifactBytes,
    signer: Signer,
    *,
    out: Sink,
    scratch: Scratch,
) -> Built:
    """Write the bundle of a log's first N stored lines. Equal input, equal bytes.

    The log is read once and nothing is checked here that `verify_bundle` reports: evidence of a damaged log is
    evidence, too. An artifact whose bytes are gone is left out.
    """
    log = collect(tenant, run_id, lines, scratch)
    files = projections(log, signer.key)
    spool = Spool(scratch)
    for path, artifact in log.artifacts.items():
        found = artifacts(artifact)
        if found is not None:
            files[path] = _stored(path, found, spool)
    files[CHECKPOINT] = member(CHECKPOINT, sign_checkpoint(checkpoint(log, signer.key), signer))
    manifest = statement({name: each.digest.sha256 for name, each in files.items()}, predicate(log))
    files[MANIFEST] = member(MANIFEST, manifest)
    files[ENVELOPE] = member(ENVELOPE, sign_envelope(manifest, signer).body)
    hashed = _Hashed(out)
    size = write_zip(files.values(), hashed)
    return Built(hashed.sha256, size, log)


def _stored(path: str, chunks: Iterable[bytes], spool: Spool) -> Member:
    stream = spool.stream()
    for chunk in chunks:
        stream.add(chunk)
    return stream.member(path)


class _Hashed:
    def __init__(self, out: Sink) -> None:
        self._out, self._hash = out, hashlib.sha256()

    def write(self, data: bytes, /) -> None:
        self._hash.update(data)
        self._out.write(data)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()
