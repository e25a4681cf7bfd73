"""Ed25519 by `cryptography`: signing with one key, and checking (runs-api.md 7.4)."""

from __future__ import annotations

from rune_common.domain.evidence.keys import EvidenceKey

SEED_BYTES = 32


class Ed25519Signer:
    """Signs with the key of a 32 byte seed (RFC 8032). Raises ValueError for another length."""

    def __init__(self, name: str, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = EvidenceKey(name, self._private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)


def ed25519_verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the signature is that key's over the message. A key that is none verifies nothing."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
