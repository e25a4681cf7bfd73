"""Merkle trees of RFC 6962, section 2.1, over SHA-256 (runs-api.md 3.5, 7.4). Hashes are lower-case hex."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

_HASH_BYTES = 32


def leaf_hash(entry: bytes) -> str:
    """H(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).hexdigest()


def merkle_root(leaves: Iterable[str]) -> str:
    """The tree head over leaf hashes; H("") for none. Time O(n), memory O(log n)."""
    return _root(bytes.fromhex(leaf) for leaf in leaves).hex()


def inclusion_proof(leaves: Sequence[str], index: int) -> tuple[str, ...]:
    """The audit path of leaf `index` (from 0), lowest level first. Raises IndexError outside the tree."""
    if not 0 <= index < len(leaves):
        raise IndexError("no leaf with this index")
    return tuple(node.hex() for node in _path(index, [bytes.fromhex(leaf) for leaf in leaves]))


def consistency_proof(leaves: Sequence[str], from_size: int, to_size: int | None = None) -> tuple[str, ...]:
    """That the tree over the first `from_size` leaves is a prefix of the one over `to_size` (default all).

    Empty when the sizes are equal or `from_size` is 0. Raises IndexError if a size is outside the tree.
    """
    size = len(leaves) if to_size is None else to_size
    if not 0 <= from_size <= size <= len(leaves):
        raise IndexError("no tree of this size")
    if from_size in (0, size):
        return ()
    nodes = [bytes.fromhex(leaf) for leaf in leaves[:size]]
    return tuple(node.hex() for node in _subproof(from_size, nodes, True))


def verify_inclusion(leaf: str, index: int, tree_size: int, proof: Sequence[str], root: str) -> bool:
    """True if `proof` shows that `leaf` is number `index` (from 0) of the tree with `root`."""
    if not 0 <= index < tree_size:
        return False
    decoded = _decode([leaf, root, *proof])
    if decoded is None:
        return False
    node, expected, *path = decoded
    position, last = index, tree_size - 1
    for sibling in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            node = _node(sibling, node)
            position, last = _climb_to_right_child(position, last)
        else:
            node = _node(node, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and node == expected


def verify_consistency(
    from_size: int, to_size: int, proof: Sequence[str], from_root: str, to_root: str
) -> bool:
    """True if `proof` shows that the tree with `from_root` is a prefix of the tree with `to_root`."""
    decoded = _decode([from_root, to_root, *proof])
    if decoded is None or not 0 <= from_size <= to_size:
        return False
    first, second, *path = decoded
    if from_size == to_size:
        return not path and first == second
    if from_size == 0:
        return not path and first == _root(())
    # A whole subtree is its own first node, so the prover leaves it out (RFC 9162, section 2.1.4.2).
    if from_size & (from_size - 1) == 0:
        path.insert(0, first)
    if not path:
        return False
    position, last = from_size - 1, to_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = _node(sibling, old), _node(sibling, new)
            position, last = _climb_to_right_child(position, last)
        else:
            new = _node(new, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old == first and new == second


def _climb_to_right_child(position: int, last: int) -> tuple[int, int]:
    """Skip the levels where the node at the tree's right edge has no sibling."""
    while position and not position & 1:
        position, last = position >> 1, last >> 1
    return position, last


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _root(leaves: Iterable[bytes]) -> bytes:
    # A stack of whole subtrees, largest first; equal sizes merge at once, as carries do in binary addition.
    stack: list[tuple[int, bytes]] = []
    for leaf in leaves:
        size, node = 1, leaf
        while stack and stack[-1][0] == size:
            node = _node(stack.pop()[1], node)
            size *= 2
        stack.append((size, node))
    if not stack:
        return hashlib.sha256(b"").digest()
    node = stack.pop()[1]
    while stack:
        node = _node(stack.pop()[1], node)
    return node


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << (size - 1).bit_length() - 1


def _path(index: int, leaves: list[bytes]) -> Iterator[bytes]:
    if len(leaves) == 1:
        return
    at = _split(len(leaves))
    left, right = leaves[:at], leaves[at:]
    if index < at:
        yield from _path(index, left)
        yield _root(right)
    else:
        yield from _path(index - at, right)
        yield _root(left)


def _subproof(size: int, leaves: list[bytes], whole: bool) -> Iterator[bytes]:
    if size == len(leaves):
        if not whole:
            yield _root(leaves)
        return
    at = _split(len(leaves))
    left, right = leaves[:at], leaves[at:]
    if size <= at:
        yield from _subproof(size, left, whole)
        yield _root(right)
    else:
        yield from _subproof(size - at, right, False)
        yield _root(left)


def _decode(hashes: Sequence[str]) -> list[bytes] | None:
    """The raw hashes, or None if one is not 32 bytes of lower-case hex: a proof has one spelling only."""
    try:
        decoded = [bytes.fromhex(item) for item in hashes]
    except (TypeError, ValueError):
        return None
    pairs = zip(decoded, hashes, strict=True)
    fits = all(len(raw) == _HASH_BYTES and raw.hex() == item for raw, item in pairs)
    return decoded if fits else None
