"""The parts of a bundle that carry signatures, read and checked (runs-api.md 7.4, 7.5)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rune_common.domain.evidence.dsse import Envelope, parse_envelope, pre_authentication_encoding
from rune_common.domain.evidence.keys import ANY_NAME, EvidenceKey, parse_verifier_key
from rune_common.domain.evidence.notes import Checkpoint, SignedCheckpoint, parse_checkpoint
from rune_common.domain.evidence.projections import CHECKPOINT, ENVELOPE, INTEGRITY, MANIFEST
from rune_common.domain.evidence.report import Fault, Signatures, TrustedKeys
from rune_common.domain.evidence.spool import member
from rune_common.domain.evidence.zip_reader import ZipContents
from rune_common.domain.json_fields import items, members, text

MAX_SMALL_FILE_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class SignedParts:
    """What the bundle says of itself. `manifest` are the statement's bytes, as signed where they can be told.

    `checkpoint` is None when there is none whose signature may be right. `key` is the key that the bundle
    names as its own, None when it names none.
    """

    tenant: str = ""
    run_id: str = ""
    manifest: bytes | None = None
    subjects: dict[str, str] = field(default_factory=dict)
    predicate: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    key: EvidenceKey | None = None
    key_id: str | None = None
    signatures: Signatures = "unchecked"
    faults: list[Fault] = field(default_factory=list)

    @property
    def has_manifest(self) -> bool:
        return bool(self.subjects)


def read_signed_parts(contents: ZipContents, keys: TrustedKeys) -> SignedParts:
    found = SignedParts()
    named = _object(contents.read(INTEGRITY, MAX_SMALL_FILE_BYTES))
    found.key, found.key_id = _bundle_key(named), text(named, "key_id")
    check = _Signatures(found, keys)
    found.manifest = check.manifest(
        contents.read(MANIFEST, MAX_SMALL_FILE_BYTES), contents.read(ENVELOPE, MAX_SMALL_FILE_BYTES)
    )
    note = contents.read(CHECKPOINT, MAX_SMALL_FILE_BYTES)
    if note is not None:
        found.checkpoint = check.note(note)
    found.signatures = check.verdict()
    _statement(found)
    _identify(found, named)
    return found


class _Signatures:
    """Checks against trusted keys; without any, against the bundle's own key, which only finds damage."""

    def __init__(self, found: SignedParts, keys: TrustedKeys) -> None:
        self._found, self._verify = found, keys.verify
        own = (found.key,) if found.key else ()
        self._trusts = bool(keys.keys) or keys.bundle_key
        self._keys = keys.keys or own
        self._checked: list[bool] = []
        self._unknown: dict[str, str] = {}

    def manifest(self, plain: bytes | None, body: bytes | None) -> bytes | None:
        """The statement: what is signed, where both copies are there and differ."""
        if body is None:
            return plain
        try:
            envelope = parse_envelope(body)
        except ValueError:
            self._found.faults.append(Fault("format_invalid", ENVELOPE))
            self._checked.append(False)
            return plain
        self._found.key_id = self._found.key_id or envelope.keyid
        key = next((each for each in self._keys if each.key_id == envelope.keyid), None)
        if key is None:
            self._unknown[ENVELOPE] = envelope.keyid
            return self._agreed(plain, envelope)
        if self._is_signed(key, envelope, envelope.payload):
            self._checked.append(True)
            return self._agreed(plain, envelope)
        self._checked.append(False)
        self._found.faults.append(Fault("manifest_signature_invalid", ENVELOPE))
        # If the signature is that of the other copy, only this one is damaged.
        if plain is not None and (self._is_signed(key, envelope, plain) or plain == envelope.payload):
            return plain
        return plain if plain is not None else envelope.payload

    def note(self, content: bytes) -> Checkpoint | None:
        try:
            signed = parse_checkpoint(content)
        except ValueError:
            self._checked.append(False)
            self._found.faults.append(Fault("checkpoint_signature_invalid", CHECKPOINT))
            return None
        key = next((each for each in self._keys if _names(signed, each)), None)
        if key is None:
            self._unknown[CHECKPOINT] = signed.key_hash.hex()
            return signed.checkpoint
        valid = self._verify(key.public, signed.signature, signed.body.encode())
        self._checked.append(valid)
        if not valid:
            self._found.faults.append(Fault("checkpoint_signature_invalid", CHECKPOINT))
        return signed.checkpoint if valid else None

    def verdict(self) -> Signatures:
        both = len(self._unknown) == 2
        for path, actual in self._unknown.items():
            shown = self._found.key_id or actual if both else actual
            self._found.faults.append(Fault("key_unknown", None if both else path, actual=shown))
        if not all(self._checked):
            return "invalid"
        return "valid" if self._trusts and len(self._checked) == 2 else "unchecked"

    def _is_signed(self, key: EvidenceKey, envelope: Envelope, payload: bytes) -> bool:
        return self._verify(key.public, envelope.signature, pre_authentication_encoding(payload))

    def _agreed(self, plain: bytes | None, envelope: Envelope) -> bytes:
        if plain is not None and plain != envelope.payload:
            digests = (member(MANIFEST, each).digest.sha256 for each in (envelope.payload, plain))
            self._found.faults.append(Fault("file_sha_mismatch", MANIFEST, None, *digests))
        return envelope.payload


def _names(signed: SignedCheckpoint, key: EvidenceKey) -> bool:
    named = EvidenceKey(signed.key_name, key.public)
    return key.name in (signed.key_name, ANY_NAME) and signed.key_hash == named.note_hash


def _bundle_key(named: Mapping[str, Any]) -> EvidenceKey | None:
    try:
        key = parse_verifier_key(text(named, "verifier_key") or "")
    except ValueError:
        return None
    return key if key.key_id == named.get("key_id") else None


def _statement(found: SignedParts) -> None:
    document = _object(found.manifest)
    found.predicate = members(document, "predicate")
    for subject in items(document, "subject"):
        if isinstance(subject, Mapping):
            name, sha256 = text(subject, "name"), text(members(subject, "digest"), "sha256")
            if name is not None and sha256 is not None:
                found.subjects[name] = sha256
    if found.manifest is not None and not found.subjects:
        found.faults.append(Fault("format_invalid", MANIFEST))


def _identify(found: SignedParts, named: Mapping[str, Any]) -> None:
    """Whose log it is: as the manifest says, else the tree head's origin, else what is beside it."""
    tenant, run_id = text(found.predicate, "tenant"), text(found.predicate, "run_id")
    origin = found.checkpoint.origin if found.checkpoint else text(named, "checkpoint_origin") or ""
    _, _, place = origin.rpartition("/runs/")
    of_tenant, _, of_run = place.partition("/")
    found.tenant, found.run_id = tenant or of_tenant, run_id or of_run


def _object(content: bytes | None) -> Mapping[str, Any]:
    try:
        document = json.loads(content or b"")
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
