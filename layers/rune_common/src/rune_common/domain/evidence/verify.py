"""`verify_bundle`: the offline check of a bundle, with every fault that it has (runs-api.md 7.5, 16).

Files are compared with the signed manifest, artifacts and projections with the timeline, the timeline with the
signed tree head. A change may fail several of these checks; each reports a place once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from rune_common.domain.canonical import CanonicalError
from rune_common.domain.evidence.collector import Collected, collect
from rune_common.domain.evidence.keys import EvidenceKey
from rune_common.domain.evidence.manifest import predicate, statement
from rune_common.domain.evidence.projections import (
    CHECKPOINT,
    ENVELOPE,
    INTEGRITY,
    MANIFEST,
    TIMELINE,
    checkpoint,
    projections,
)
from rune_common.domain.evidence.report import Fault, FaultType, Report, TrustedKeys, in_order
from rune_common.domain.evidence.signed_parts import SignedParts, read_signed_parts
from rune_common.domain.evidence.spool import Digest, Meter, Scratch
from rune_common.domain.evidence.zip_reader import ZipContents, read_zip

MAX_LINE_BYTES = 4 * 1024 * 1024
_SIGNED_APART = (MANIFEST, ENVELOPE)


def verify_bundle(file: BinaryIO, keys: TrustedKeys, *, scratch: Scratch) -> Report:
    """Check a bundle; `file` is seekable. Raises BundleUnreadable. Memory does not grow with the events."""
    return _Check(read_zip(file), keys).report(scratch)


class _Check:
    def __init__(self, contents: ZipContents, keys: TrustedKeys) -> None:
        self.contents, self.keys = contents, keys
        self.signed: SignedParts = read_signed_parts(contents, keys)
        self.faults: list[Fault] = list(self.signed.faults)
        self.digests = {name: self._digest(name) for name in contents.entries}

    def report(self, scratch: Scratch) -> Report:
        self._files()
        about = self.signed
        log = collect(about.tenant, about.run_id, self._lines(), scratch)
        self.faults += [
            Fault(each.type, None, each.sequence, each.expected, each.actual) for each in log.faults
        ]
        self._end(log)
        sums = self._sums(log)
        self.faults += sums
        self._expected_head(log)
        actual = self.digests.get(TIMELINE)
        listed = about.subjects.get(TIMELINE)
        whole = actual == log.timeline.digest
        if actual and not whole and not log.faults:
            # Every line is sound, so what is wrong lies between them.
            self._note("format_invalid", TIMELINE)
        if actual and whole and not log.faults and not sums and listed in (None, actual.sha256):
            self._derived(log)
        self._container()
        return Report(
            run_id=about.run_id or log.status.run_id,
            complete=log.status.complete,
            event_count=log.event_count,
            head_hash=log.status.head_hash,
            merkle_root=log.merkle_root,
            key_id=about.key_id,
            signatures=about.signatures,
            mismatches=in_order(self.faults),
        )

    def _note(
        self,
        kind: FaultType,
        path: str | None,
        expected: str | int | None = None,
        actual: str | int | None = None,
    ) -> None:
        self.faults.append(Fault(kind, path, None, expected, actual))

    def _digest(self, name: str) -> Digest:
        meter = Meter()
        for chunk in self.contents.chunks(name):
            meter.add(chunk)
        return meter.digest

    def _lines(self) -> Iterator[bytes]:
        """The timeline's lines without their ends; a hostile one comes in parts, none of which is an event."""
        if TIMELINE not in self.contents.entries:
            return
        rest = b""
        for chunk in self.contents.chunks(TIMELINE):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
            if len(rest) > MAX_LINE_BYTES:
                yield rest
                rest = b""
        if rest:
            yield rest

    def _files(self) -> None:
        """Against the manifest."""
        subjects, hidden = self.signed.subjects, self.contents.damaged | self.contents.aliases
        for name in _SIGNED_APART:
            if name not in self.digests and name not in hidden:
                self._note("file_missing", name)
        if not self.signed.has_manifest:
            return
        for name, sha256 in subjects.items():
            found = self.digests.get(name)
            if found is None and name not in hidden:
                self._note("file_missing", name)
            elif found is not None and found.sha256 != sha256:
                self._note("file_sha_mismatch", name, sha256, found.sha256)
        for name in self.digests.keys() - subjects.keys() - {*_SIGNED_APART} - hidden:
            self._note("file_unexpected", name)

    def _end(self, log: Collected) -> None:
        told = self.signed.predicate.get("complete")
        if told is True and not log.status.complete:
            last = log.status.last_sequence
            self.faults.append(Fault("terminal_missing", None, last))

    def _sums(self, log: Collected) -> list[Fault]:
        """Against the signed tree head; where that is damaged, against the manifest."""
        told, found = self.signed.predicate, []
        head = self.signed.checkpoint
        size = head.tree_size if head else told.get("tree_size")
        root = head.root if head else told.get("merkle_root")
        if isinstance(size, int) and size != log.event_count:
            found.append(Fault("count_mismatch", None, None, size, log.event_count))
        if isinstance(root, str) and root != log.merkle_root:
            found.append(Fault("root_mismatch", None, None, root, log.merkle_root))
        head_hash = told.get("head_hash")
        if isinstance(head_hash, str) and head_hash != log.head_hash:
            found.append(Fault("head_mismatch", None, None, head_hash, log.head_hash))
        return found

    def _expected_head(self, log: Collected) -> None:
        expected = self.keys.expect_head
        known = any(each.type == "head_mismatch" for each in self.faults)
        if expected is not None and expected != log.head_hash and not known:
            self._note("head_mismatch", None, expected, log.head_hash)

    def _derived(self, log: Collected) -> None:
        """Against a timeline that is as it was signed: every file that follows from it, and artifacts."""
        hidden = self.contents.damaged | self.contents.aliases
        try:
            files = projections(log, self.signed.key) if self.signed.key else {}
        except CanonicalError:
            self._note("format_invalid", TIMELINE)
            return
        if self.signed.key is None and INTEGRITY in self.digests:
            self._note("projection_mismatch", INTEGRITY)
        for name, made in files.items():
            actual = self.digests.get(name)
            if actual is None and name not in hidden and name not in self.signed.subjects:
                self._note("file_missing", name)
            elif actual is not None and actual != made.digest:
                self._note("projection_mismatch", name, made.digest.sha256, actual.sha256)
        for path, artifact in log.artifacts.items():
            actual = self.digests.get(path)
            if actual is not None and actual.sha256 != artifact.sha256:
                self._note("artifact_sha_mismatch", path, artifact.sha256, actual.sha256)
            elif actual is None and artifact.recorded and path not in hidden:
                self._note("artifact_missing", path, artifact.sha256)
        if files:
            known = {*files, *log.artifacts, CHECKPOINT, *_SIGNED_APART}
            for name in self.digests.keys() - known - hidden:
                self._note("file_unexpected", name)
        self._statements(log, self.signed.key)

    def _statements(self, log: Collected, key: EvidenceKey | None) -> None:
        """What is signed about the timeline has to follow from it, too."""
        head = self.signed.checkpoint
        if head is not None and key is not None and head != checkpoint(log, key):
            self._note("projection_mismatch", CHECKPOINT)
        manifest = self.signed.manifest
        if manifest is not None and manifest != statement(self.signed.subjects, predicate(log)):
            self._note("projection_mismatch", MANIFEST)

    def _container(self) -> None:
        told = {each.path for each in self.faults}
        for name in self.contents.damaged:
            self._note("format_invalid", name)
        for name, entry in self.contents.entries.items():
            if name not in told | self.contents.damaged and self.digests[name].crc32 != entry.crc32:
                self._note("format_invalid", name)
        if self.contents.disordered and not self.contents.damaged:
            self._note("format_invalid", None)
