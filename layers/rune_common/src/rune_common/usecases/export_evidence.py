"""Hand out a run's evidence: as a zip, as JSON, as its signed manifest, or as a link (runs-api.md 7.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import BinaryIO, Literal

from rune_common.domain.access import Principal
from rune_common.domain.errors import EvidenceNotSealed, FieldProblem, InvalidRequest, RunNotFound
from rune_common.domain.evidence.bundle_view import bundle_view
from rune_common.domain.evidence.kept import CheckedBundle
from rune_common.domain.evidence.projections import ENVELOPE
from rune_common.domain.evidence.spool import Spool
from rune_common.domain.evidence.zip_reader import read_zip
from rune_common.domain.jobs import checked_job_id
from rune_common.usecases.seal_evidence import (
    BUNDLE,
    EvidencePorts,
    build_checked,
    evidence_key,
    find_sealed,
    seal_evidence,
)

INLINE_BYTES = 4 * 1024 * 1024
LINK_SECONDS = 15 * 60
BUILD_MS = 20_000

Format = Literal["json", "zip", "dsse"]
MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "zip": "application/zip",
    "dsse": "application/vnd.dsse.envelope.v1+json",
}
_SUFFIXES: dict[Format, str] = {"json": ".json", "zip": ".zip", "dsse": ".dsse.json"}


@dataclass(frozen=True, slots=True)
class EvidenceQuery:
    """`known`: the entity tags that the caller has, `*` for any."""

    format: Format = "json"
    at_sequence: int | None = None
    include: tuple[str, ...] = ()
    require_sealed: bool = False
    delivery: Literal["auto", "inline", "link"] = "auto"
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What to send: `chunks` of `size` bytes, or nothing of it when the caller has it (`unchanged`).

    `link`: where to fetch it instead, until `expires_at` (epoch ms); "" means here, with `delivery=inline`.
    """

    checked: CheckedBundle
    format: Format
    etag: str
    sha256: str = ""
    size: int = 0
    chunks: Iterable[bytes] = ()
    unchanged: bool = False
    link: str | None = None
    expires_at: int = 0

    @property
    def filename(self) -> str:
        return f"rune-{self.checked.run_id}-{self.checked.at_sequence}{_SUFFIXES[self.format]}"


def export_evidence(
    run_id: str,
    caller: Principal,
    query: EvidenceQuery,
    *,
    ports: EvidencePorts,
    inline_limit: int | None = None,
) -> Evidence:
    """Seals an ended run first. More than `inline_limit` bytes become a link.

    Raises RunNotFound, InvalidRequest, EvidenceNotSealed, EvidenceBusy.
    """
    tenant, run_id = caller.tenant, checked_job_id(run_id)
    ports = replace(ports, deadline=ports.clock() + BUILD_MS)
    sealed = _sealed(tenant, run_id, query, ports)
    if sealed is not None:
        file: BinaryIO | None = None
        checked = sealed
    else:
        file = ports.scratch()
        checked = build_checked(tenant, run_id, _sequence(tenant, run_id, query, ports), file, ports=ports)
    evidence = Evidence(checked, query.format, _etag(checked, query.format))
    if evidence.etag in query.known or "*" in query.known:
        return replace(evidence, unchanged=True)
    place = evidence_key(tenant, run_id, checked.at_sequence, BUNDLE)
    if query.format == "zip" and file is None:
        content = ports.blobs.chunks(place)
        evidence = replace(evidence, sha256=checked.sha256, size=checked.size, chunks=content)
    else:
        evidence = _rendered(evidence, file or _fetched(place, ports), query, ports)
    too_large = inline_limit is not None and evidence.size > inline_limit
    if query.delivery == "link" or too_large:
        return _linked(evidence, tenant, stored=place if file is None else None, ports=ports)
    return evidence


def _sealed(tenant: str, run_id: str, query: EvidenceQuery, ports: EvidencePorts) -> CheckedBundle | None:
    """The stored bundle, if it is what is asked for; its run's record may be long gone."""
    found = find_sealed(tenant, run_id, blobs=ports.blobs)
    if found is None:
        run = ports.runs.get(tenant, run_id)
        if run is None:
            raise RunNotFound(run_id)
        if run.terminal and query.at_sequence in (None, run.head.sequence):
            return seal_evidence(tenant, run_id, ports=ports)
        if query.require_sealed:
            raise EvidenceNotSealed(run_id)
        return None
    if query.at_sequence in (None, found.at_sequence):
        return found
    if query.require_sealed:
        raise EvidenceNotSealed(run_id)
    return None


def _sequence(tenant: str, run_id: str, query: EvidenceQuery, ports: EvidencePorts) -> int:
    run = ports.runs.get(tenant, run_id)
    if run is None:
        raise RunNotFound(run_id)
    sequence = run.head.sequence if query.at_sequence is None else query.at_sequence
    if not 1 <= sequence <= run.head.sequence:
        raise InvalidRequest(FieldProblem("at_sequence", "out_of_range", "must be a sequence of the log"))
    return sequence


def _etag(checked: CheckedBundle, format_: Format) -> str:
    return f'"{checked.sha256}"' if format_ == "zip" else f'"{checked.sha256}-{format_}"'


def _fetched(place: str, ports: EvidencePorts) -> BinaryIO:
    file = ports.scratch()
    for chunk in ports.blobs.chunks(place):
        file.write(chunk)
    return file


def _rendered(evidence: Evidence, file: BinaryIO, query: EvidenceQuery, ports: EvidencePorts) -> Evidence:
    """The evidence in the form that is asked for, measured before its first byte is sent."""
    if query.format == "zip":
        file.seek(0)
        parts: Iterable[bytes] = iter(lambda: file.read(INLINE_BYTES), b"")
        return replace(evidence, sha256=evidence.checked.sha256, size=evidence.checked.size, chunks=parts)
    contents = read_zip(file)
    if query.format == "dsse":
        parts = contents.chunks(ENVELOPE)
    else:
        parts = bundle_view(contents, evidence.checked, query.include)
    stream = Spool(ports.scratch).stream()
    for part in parts:
        stream.add(part)
    digest = stream.digest
    return replace(evidence, sha256=digest.sha256, size=digest.size, chunks=stream.chunks())


def _linked(evidence: Evidence, tenant: str, *, stored: str | None, ports: EvidencePorts) -> Evidence:
    key = stored if evidence.format == "zip" else None
    if key is None:
        name = f"exports/{evidence.sha256}{_SUFFIXES[evidence.format]}"
        key = evidence_key(tenant, evidence.checked.run_id, evidence.checked.at_sequence, name)
    link = ports.blobs.link(key, seconds=LINK_SECONDS, filename=evidence.filename)
    if link is not None and stored != key:
        with ports.scratch() as file:
            for chunk in evidence.chunks:
                file.write(chunk)
            ports.blobs.put_file(key, file)
    expires_at = ports.clock() + LINK_SECONDS * 1000
    return replace(evidence, chunks=(), link=link or "", expires_at=expires_at)
