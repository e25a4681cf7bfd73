"""The deployment's evidence keys: a secret seed, and a public record of every key that ever signed."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from rune_common.adapters.ed25519 import Ed25519Signer, ed25519_verify
from rune_common.domain.errors import BlobNotFound, Misconfigured
from rune_common.domain.evidence.keys import EvidenceKey, PublishedKey, Signer
from rune_common.domain.ports import BlobStore, Clock

RECORD_KEY = "evidence/keys.json"
RENEWED_AFTER_MS = 30 * 24 * 60 * 60 * 1000
"""The record is written again after so long, since the store forgets what nobody has written for a year."""


class RecordedKeyRing:
    """Signs with the key of a seed and keeps a record of it, so that a rotated key stays published.

    `seed` gives 32 secret bytes; None where nothing is signed. Another seed is another key: the one before is
    retired when the new one is first used, which a running process does at its next start.
    """

    def __init__(self, name: str, seed: Callable[[], bytes] | None, blobs: BlobStore, clock: Clock) -> None:
        self._name, self._seed, self._blobs, self._clock = name, seed, blobs, clock
        self._signer: Ed25519Signer | None = None

    def signer(self) -> Signer:
        if self._signer is None:
            if self._seed is None:
                raise Misconfigured("RUNE_EVIDENCE_KEY_SECRET is not set")
            signer = Ed25519Signer(self._name, self._seed())
            self._record(signer.key)
            self._signer = signer
        return self._signer

    def published(self) -> Sequence[PublishedKey]:
        if self._seed is not None:
            self.signer()
        return self._recorded()[0]

    def verify(self, public: bytes, signature: bytes, message: bytes) -> bool:
        return ed25519_verify(public, signature, message)

    def _record(self, key: EvidenceKey) -> None:
        known, written_at = self._recorded()
        now = self._clock()
        listed = known
        if all(each.key != key for each in known):
            retired = [
                each if each.retired_at is not None else replace(each, retired_at=now) for each in known
            ]
            listed = [*retired, PublishedKey(key, now)]
        elif now - written_at < RENEWED_AFTER_MS:
            return
        document = {"written_at": now, "keys": [_document(each) for each in listed]}
        self._blobs.put(RECORD_KEY, json.dumps(document).encode())

    def _recorded(self) -> tuple[list[PublishedKey], int]:
        try:
            found = json.loads(self._blobs.get(RECORD_KEY))
        except BlobNotFound:
            return [], 0
        return [_published(each) for each in found["keys"]], found["written_at"]


def _document(published: PublishedKey) -> dict[str, Any]:
    return {
        "name": published.key.name,
        "public_key": base64.b64encode(published.key.public).decode(),
        "not_before": published.not_before,
        "retired_at": published.retired_at,
    }


def _published(document: dict[str, Any]) -> PublishedKey:
    key = EvidenceKey(document["name"], base64.b64decode(document["public_key"]))
    return PublishedKey(key, document["not_before"], document["retired_at"])


def secret_seed(secret_id: str, client: Callable[[], Any]) -> Callable[[], bytes]:
    """The seed of a Secrets Manager secret: the SHA-256 of its text, whoever generated that."""

    @functools.cache
    def read() -> bytes:
        from rune_common.adapters.aws_storage import aws_call

        found = aws_call(client().get_secret_value, SecretId=secret_id)
        return hashlib.sha256(found["SecretString"].encode()).digest()

    return read
