"""Evidence keys: how they are named and written, who signs, who checks (runs-api.md 7.4)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

ALGORITHM = "ed25519"
SIGNATURE_BYTES = 64
PUBLIC_KEY_BYTES = 32

ANY_NAME = "*"
"""The name of a trusted key that was handed over without one."""

_NOTE_ED25519 = b"\x01"
"""C2SP signed-note's signature type of Ed25519."""

_NAME = re.compile(r"[^\s+]{1,128}")

Verify = Callable[[bytes, bytes, bytes], bool]
"""(public key of 32 bytes, signature, message) to whether the signature is the key's."""


@dataclass(frozen=True, slots=True)
class EvidenceKey:
    """A public Ed25519 key under a name without blanks and plus signs."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.public) != PUBLIC_KEY_BYTES:
            raise ValueError("no such evidence key can exist")

    @property
    def key_id(self) -> str:
        """The first 16 hex digits of the raw key's SHA-256."""
        return hashlib.sha256(self.public).hexdigest()[:16]

    @property
    def note_hash(self) -> bytes:
        """The 4 bytes by which a signed note names the key."""
        return hashlib.sha256(self.name.encode() + b"\n" + _NOTE_ED25519 + self.public).digest()[:4]

    @property
    def verifier_key(self) -> str:
        """The C2SP form `<name>+<hash>+<key>`."""
        encoded = base64.b64encode(_NOTE_ED25519 + self.public).decode()
        return f"{self.name}+{self.note_hash.hex()}+{encoded}"


def parse_verifier_key(text: str) -> EvidenceKey:
    """The key of a C2SP verifier key. Raises ValueError, also when its hash is not its own."""
    name, _, rest = text.strip().partition("+")
    key_hash, _, encoded = rest.partition("+")
    try:
        data = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise ValueError("the verifier key is not base64") from None
    if data[:1] != _NOTE_ED25519:
        raise ValueError("the verifier key is not of Ed25519")
    key = EvidenceKey(name, data[1:])
    if key.note_hash.hex() != key_hash:
        raise ValueError("the verifier key's hash is wrong")
    return key


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A key as the service publishes it. Times are epoch ms; `retired_at` None: it signs now."""

    key: EvidenceKey
    not_before: int
    retired_at: int | None = None


class Signer(Protocol):
    """Signs with one key. The same message has the same signature (RFC 8032)."""

    @property
    def key(self) -> EvidenceKey: ...

    def sign(self, message: bytes) -> bytes: ...


class KeyRing(Protocol):
    """The deployment's evidence keys. Raises Unavailable."""

    def signer(self) -> Signer:
        """The key that signs now; it is made at the first call if there is none."""
        ...

    def published(self) -> Sequence[PublishedKey]:
        """Every key that ever signed, retired ones included, oldest first."""
        ...

    def verify(self, public: bytes, signature: bytes, message: bytes) -> bool: ...
