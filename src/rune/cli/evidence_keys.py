"""The keys that a person trusts, in whatever form they were handed over (runs-api.md 7.5)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from rune_common.domain.evidence.keys import ANY_NAME, PUBLIC_KEY_BYTES, EvidenceKey, parse_verifier_key

_PEM = b"-----BEGIN "


def read_keys(content: bytes) -> tuple[EvidenceKey, ...]:
    """The keys of a file: the service's list, verifier keys one a line, or one public key in PEM, base64 or raw.

    Raises ValueError when there is none, or one that is damaged.
    """
    if len(content) == PUBLIC_KEY_BYTES:
        return (EvidenceKey(ANY_NAME, content),)
    if content.lstrip().startswith(_PEM):
        return (_pem(content),)
    text = content.decode()
    found = tuple(_listed(json.loads(text)) if text.lstrip().startswith("{") else map(_line, text.split()))
    if not found:
        raise ValueError("the file holds no key")
    return found


def _listed(document: dict[str, Any]) -> Iterator[EvidenceKey]:
    """The answer of `GET /api/v1/runtime/evidence-keys`, or one of its entries."""
    entries = document["keys"] if isinstance(document.get("keys"), list) else [document]
    for entry in entries:
        text = entry.get("verifier_key") or entry.get("public_key") if isinstance(entry, dict) else None
        if not isinstance(text, str):
            raise ValueError("an entry has no key")
        yield _line(text)


def _line(text: str) -> EvidenceKey:
    """A verifier key; or base64, which may hold plus signs, too, but never a verifier key's hash."""
    try:
        return parse_verifier_key(text)
    except ValueError:
        try:
            return EvidenceKey(ANY_NAME, base64.b64decode(text, validate=True))
        except ValueError:
            raise ValueError("a line is no key") from None


def _pem(content: bytes) -> EvidenceKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = load_pem_public_key(content)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("the key is not of Ed25519")
    return EvidenceKey(ANY_NAME, key.public_bytes_raw())
