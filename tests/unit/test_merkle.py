from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rune_common.domain.merkle import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    merkle_root,
    verify_consistency,
    verify_inclusion,
)

# The public test vectors of certificate transparency.
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        *("", "00", "10", "2021", "3031", "40414243", "5051525354555657"),
        "606162636465666768696a6b6c6d6e6f",
    )
]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def leaves(size: int) -> list[str]:
    return [leaf_hash(str(number).encode()) for number in range(size)]


def by_definition(nodes: list[str]) -> str:
    """RFC 6962, section 2.1, word for word."""
    if not nodes:
        return hashlib.sha256(b"").hexdigest()
    if len(nodes) == 1:
        return nodes[0]
    at = 1
    while at * 2 < len(nodes):
        at *= 2
    left, right = by_definition(nodes[:at]), by_definition(nodes[at:])
    return hashlib.sha256(b"\x01" + bytes.fromhex(left) + bytes.fromhex(right)).hexdigest()


@pytest.mark.parametrize(
    ("size", "root"),
    [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ],
)
def test_the_roots_are_those_of_the_public_vectors(size, root):
    assert merkle_root(LEAVES[:size]) == root


@given(st.integers(0, 70))
def test_the_root_follows_the_definition(size):
    assert merkle_root(leaves(size)) == by_definition(leaves(size))


@st.composite
def trees(draw):
    size = draw(st.integers(1, 40))
    return leaves(size), draw(st.integers(0, size - 1))


def flipped(text: str, bit: int) -> str:
    raw = bytearray.fromhex(text)
    raw[bit // 8 % len(raw)] ^= 1 << bit % 8
    return raw.hex()


@given(trees(), st.integers(0, 255), st.data())
def test_an_inclusion_proof_verifies_and_any_changed_bit_fails(tree, bit, data):
    nodes, index = tree
    root, proof = merkle_root(nodes), inclusion_proof(nodes, index)
    assert verify_inclusion(nodes[index], index, len(nodes), proof, root)
    assert not verify_inclusion(flipped(nodes[index], bit), index, len(nodes), proof, root)
    assert not verify_inclusion(nodes[index], index, len(nodes), proof, flipped(root, bit))
    other = data.draw(st.integers(0, len(nodes) - 1))
    assert verify_inclusion(nodes[index], other, len(nodes), proof, root) == (other == index)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        changed = [*proof[:at], flipped(proof[at], bit), *proof[at + 1 :]]
        assert not verify_inclusion(nodes[index], index, len(nodes), changed, root)
        assert not verify_inclusion(nodes[index], index, len(nodes), proof[:-1], root)
    assert not verify_inclusion(nodes[index], index, len(nodes), [*proof, root], root)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 255), st.data())
@settings(max_examples=200)
def test_a_consistency_proof_verifies_and_any_changed_bit_fails(one, other, bit, data):
    first, second = sorted((one, other))
    nodes = leaves(second)
    before, after = merkle_root(nodes[:first]), merkle_root(nodes)
    proof = consistency_proof(nodes, first)
    assert verify_consistency(first, second, proof, before, after)
    assert not verify_consistency(first, second, proof, flipped(before, bit), after)
    assert not verify_consistency(first, second, [*proof, before], before, after)
    if first not in (0, second):
        assert not verify_consistency(first, second, proof, before, flipped(after, bit))
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        changed = [*proof[:at], flipped(proof[at], bit), *proof[at + 1 :]]
        assert not verify_consistency(first, second, changed, before, after)
        assert not verify_consistency(first, second, proof[:-1], before, after)


def test_a_proof_for_a_smaller_tree_proves_nothing_about_a_larger():
    nodes = leaves(2)
    root = merkle_root(nodes)
    assert verify_inclusion(nodes[0], 0, 2, [nodes[1]], root)
    assert not verify_inclusion(nodes[0], 0, 4, [nodes[1]], root)
    assert verify_consistency(1, 2, [nodes[1]], nodes[0], root)
    assert not verify_consistency(1, 4, [nodes[1]], nodes[0], root)


def test_a_proof_may_be_asked_for_an_earlier_tree():
    nodes = leaves(11)
    proof = consistency_proof(nodes, 3, 7)
    assert verify_consistency(3, 7, proof, merkle_root(nodes[:3]), merkle_root(nodes[:7]))


def test_a_cut_tail_is_found_against_a_signed_size_and_root():
    nodes = leaves(9)
    signed_root = merkle_root(nodes)
    cut = nodes[:6]
    assert merkle_root(cut) != signed_root
    for end in range(len(cut) + 1):
        assert not verify_consistency(9, end, [], signed_root, merkle_root(cut[:end]))


@pytest.mark.parametrize("bad", ["", "zz", "ab" * 31, "AB" * 32, " " + "ab" * 32, None])
def test_what_is_no_hash_proves_nothing(bad):
    nodes = leaves(4)
    root, proof = merkle_root(nodes), list(inclusion_proof(nodes, 1))
    assert not verify_inclusion(nodes[1], 1, 4, [bad, proof[1]], root)
    assert not verify_consistency(2, 4, [bad], merkle_root(nodes[:2]), root)


def test_one_hash_has_one_spelling():
    nodes = leaves(2)
    assert not verify_inclusion(nodes[0].upper(), 0, 2, [nodes[1]], merkle_root(nodes))


@pytest.mark.parametrize("index", [-1, 4, 5])
def test_there_is_no_proof_for_a_leaf_outside_the_tree(index):
    with pytest.raises(IndexError):
        inclusion_proof(leaves(4), index)
    assert not verify_inclusion(leaves(5)[4], index, 4, [], merkle_root(leaves(4)))


@pytest.mark.parametrize(("first", "second"), [(-1, 2), (3, 2), (2, 5)])
def test_there_is_no_proof_between_trees_that_do_not_exist(first, second):
    with pytest.raises(IndexError):
        consistency_proof(leaves(4), first, second)
