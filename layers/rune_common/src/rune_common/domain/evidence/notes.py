"""`checkpoint.txt`: a tree head as a C2SP signed note (runs-api.md 7.4; c2sp.org/signed-note, tlog-checkpoint)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from rune_common.domain.evidence.keys import SIGNATURE_BYTES, EvidenceKey, Signer

_SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_HASH_BYTES = 4


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: `root` is hex, `origin` says whose tree it is."""

    origin: str
    tree_size: int
    root: str

    @property
    def body(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.tree_size}\n{base64.b64encode(bytes.fromhex(self.root)).decode()}\n"


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint and its one signature. `body` is the text as it was read, `key_hash` names the key."""

    checkpoint: Checkpoint
    body: str
    key_name: str
    key_hash: bytes
    signature: bytes


def checkpoint_origin(key_name: str, tenant: str, run_id: str) -> str:
    return f"{key_name}/runs/{tenant}/{run_id}"


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """The note: the body, a blank line, one signature line."""
    body = checkpoint.body
    return signed_note(body, signer.key, signer.sign(body.encode()))


def signed_note(body: str, key: EvidenceKey, signature: bytes) -> bytes:
    encoded = base64.b64encode(key.note_hash + signature).decode()
    return f"{body}\n— {key.name} {encoded}\n".encode()


def parse_checkpoint(note: bytes) -> SignedCheckpoint:
    """Raises ValueError for everything but a checkpoint with exactly one Ed25519 signature."""
    body, blank, signatures = note.decode().partition("\n\n")
    body += "\n"
    lines = body.split("\n")
    found = _SIGNATURE_LINE.fullmatch(signatures.removesuffix("\n"))
    if not blank or found is None or not signatures.endswith("\n") or len(lines) != 4:
        raise ValueError("not a checkpoint with one signature")
    origin, size, root, _ = lines
    signature, root_bytes = _decode(found[2]), _decode(root)
    if len(signature) != _HASH_BYTES + SIGNATURE_BYTES or len(root_bytes) != 32 or not origin:
        raise ValueError("a part of the checkpoint has the wrong length")
    if not size.isascii() or not size.isdigit() or str(int(size)) != size:
        raise ValueError("the tree size is not a decimal number")
    checkpoint = Checkpoint(origin, int(size), root_bytes.hex())
    return SignedCheckpoint(checkpoint, body, found[1], signature[:_HASH_BYTES], signature[_HASH_BYTES:])


def _decode(text: str) -> bytes:
    """Base64 in its one canonical spelling."""
    try:
        found = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    if base64.b64encode(found).decode() != text:
        raise ValueError("not canonical base64")
    return found
