"""What is kept beside a bundle: its signatures, and what the service's own check of it found (runs-api.md 7.1)."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from rune_common.domain.evidence.keys import EvidenceKey, Signer


class SignatureMissing(Exception):
    """Something is to be signed that was not when the signatures were made."""


@dataclass(slots=True)
class KeptSignatures:
    """The signatures of one (run, sequence), by SHA-256 of what was signed. It is a Signer that repeats them."""

    key: EvidenceKey
    signatures: dict[str, bytes] = field(default_factory=dict)

    def sign(self, message: bytes) -> bytes:
        """Raises SignatureMissing."""
        found = self.signatures.get(hashlib.sha256(message).hexdigest())
        if found is None:
            raise SignatureMissing
        return found

    def document(self) -> bytes:
        made = {name: base64.b64encode(each).decode() for name, each in self.signatures.items()}
        public = base64.b64encode(self.key.public).decode()
        return json.dumps({"name": self.key.name, "public_key": public, "signatures": made}).encode()

    @classmethod
    def read(cls, content: bytes) -> Self:
        found = json.loads(content)
        key = EvidenceKey(found["name"], base64.b64decode(found["public_key"]))
        return cls(key, {name: base64.b64decode(each) for name, each in found["signatures"].items()})


@dataclass(slots=True)
class KeepingSigner:
    """Signs with another signer and remembers what it made."""

    signer: Signer
    kept: KeptSignatures = field(init=False)

    def __post_init__(self) -> None:
        self.kept = KeptSignatures(self.signer.key)

    @property
    def key(self) -> EvidenceKey:
        return self.signer.key

    def sign(self, message: bytes) -> bytes:
        found = self.signer.sign(message)
        self.kept.signatures[hashlib.sha256(message).hexdigest()] = found
        return found


@dataclass(frozen=True, slots=True)
class CheckedBundle:
    """A bundle and what its check found. `sealed`: it is final and stored. Times are epoch ms.

    `reproducible`: a second build from a fresh read gave the same bytes; None when there was none.
    """

    run_id: str
    at_sequence: int
    complete: bool
    sha256: str
    size: int
    verified: bool
    verified_at: int
    mismatches: tuple[Mapping[str, Any], ...] = ()
    reproducible: bool | None = None
    sealed: bool = False

    def document(self) -> bytes:
        names = (
            *("run_id", "at_sequence", "complete", "sha256", "size", "verified", "verified_at"),
            *("mismatches", "reproducible", "sealed"),
        )
        return json.dumps({name: getattr(self, name) for name in names}).encode()

    @classmethod
    def read(cls, content: bytes) -> Self:
        found = json.loads(content)
        return cls(**{**found, "mismatches": tuple(found["mismatches"])})
