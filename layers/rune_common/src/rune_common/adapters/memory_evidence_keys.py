"""Evidence keys that end with this process."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence

from rune_common.adapters.ed25519 import SEED_BYTES, Ed25519Signer, ed25519_verify
from rune_common.domain.evidence.keys import PublishedKey, Signer

NAME = "rune.local"


class MemoryKeyRing:
    """One key, made at its first use."""

    def signer(self) -> Signer:
        return self._only

    def published(self) -> Sequence[PublishedKey]:
        return [PublishedKey(self._only.key, 0)]

    def verify(self, public: bytes, signature: bytes, message: bytes) -> bool:
        return ed25519_verify(public, signature, message)

    @functools.cached_property
    def _only(self) -> Ed25519Signer:
        return Ed25519Signer(NAME, os.urandom(SEED_BYTES))
