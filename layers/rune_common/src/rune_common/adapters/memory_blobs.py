"""Blobs in this process, and a sealer whose key ends with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rune_common.domain.errors import BlobNotFound

NONCE_BYTES = 12


class MemoryBlobStore:
    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}

    def put(self, key: str, content: bytes) -> None:
        self._blobs[key] = content

    def get(self, key: str) -> bytes:
        """Raises BlobNotFound."""
        try:
            return self._blobs[key]
        except KeyError:
            raise BlobNotFound(key) from None

    def delete(self, key: str) -> None:
        self._blobs.pop(key, None)

    def put_new(self, key: str, content: bytes) -> bool:
        if key in self._blobs:
            return False
        self._blobs[key] = content
        return True

    def put_file(self, key: str, file: BinaryIO) -> None:
        file.seek(0)
        self.put(key, file.read())

    def chunks(self, key: str) -> Iterator[bytes]:
        return iter((self.get(key),))

    def link(self, key: str, *, seconds: int, filename: str) -> str | None:
        return None

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._blobs)


class MemorySealer:
    """AES-256-GCM under a key of its own; what it sealed can be opened by this object only."""

    def __init__(self) -> None:
        self._cipher = AESGCM(AESGCM.generate_key(256))

    def seal(self, plain: bytes, context: str) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Raises ValueError for changed bytes, another context or another sealer's work."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError):
            raise ValueError("the sealed bytes do not belong to this context") from None
