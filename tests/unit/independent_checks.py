"""Checks of evidence that share no code with the product: written from the public texts alone."""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def open_note(note: bytes, verifier_key: str) -> str:
    """The text of a signed note (c2sp.org/signed-note). Raises InvalidSignature or AssertionError."""
    name, key_hash, encoded = verifier_key.split("+", 2)
    data = base64.b64decode(encoded)
    assert data[0] == 1, "the signature type of Ed25519"
    assert hashlib.sha256(name.encode() + b"\n" + data).digest()[:4].hex() == key_hash
    text, _, signatures = note.decode().rpartition("\n\n")
    for line in signatures.splitlines():
        dash, by, signature = line.split(" ")
        raw = base64.b64decode(signature)
        if dash == "—" and by == name and raw[:4].hex() == key_hash:
            Ed25519PublicKey.from_public_bytes(data[1:]).verify(raw[4:], (text + "\n").encode())
            return text + "\n"
    raise AssertionError("no signature of this key")


def tree_hash(entries: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, as it is defined there."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return hashlib.sha256(b"\x01" + tree_hash(entries[:split]) + tree_hash(entries[split:])).digest()


def root_from_path(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that an audit path leads to: RFC 9162, section 2.1.3.2."""
    number, last, root = index, size - 1, leaf
    for sibling in path:
        assert last > 0
        if number % 2 or number == last:
            root = hashlib.sha256(b"\x01" + sibling + root).digest()
            while number and not number % 2:
                number, last = number // 2, last // 2
        else:
            root = hashlib.sha256(b"\x01" + root + sibling).digest()
        number, last = number // 2, last // 2
    assert last == 0
    return root


def consistent(first: int, second: int, first_root: bytes, second_root: bytes, path: list[bytes]) -> bool:
    """RFC 9162, section 2.1.4.2."""
    if first == second:
        return not path and first_root == second_root
    hashes = [first_root, *path] if first & (first - 1) == 0 else list(path)
    number, last = first - 1, second - 1
    while number % 2:
        number, last = number // 2, last // 2
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if number % 2 or number == last:
            old = hashlib.sha256(b"\x01" + sibling + old).digest()
            new = hashlib.sha256(b"\x01" + sibling + new).digest()
            while number and not number % 2:
                number, last = number // 2, last // 2
        else:
            new = hashlib.sha256(b"\x01" + new + sibling).digest()
        number, last = number // 2, last // 2
    return old == first_root and new == second_root and last == 0
