from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rune_common.domain.canonical import canonical_json
from rune_common.domain.chain import (
    Mismatch,
    entry_bytes,
    genesis,
    leaf_hash,
    link_hash,
    merkle_root,
    verify_chain,
)

TENANT, RUN = "default", "run-1"


def make_log(size: int, tenant: str = TENANT, run_id: str = RUN) -> list[bytes]:
    last = genesis(tenant, run_id)
    lines = []
    for sequence in range(1, size + 1):
        event = {
            "run_id": run_id,
            "sequence": sequence,
            "payload": {"summary": f"step {sequence} é", "n": 1.5},
        }
        link = link_hash(last, leaf_hash(entry_bytes(event)))
        lines.append(canonical_json({**event, "prev_hash": last, "hash": link}))
        last = link
    return lines


def faults(lines: list[bytes], tenant: str = TENANT, run_id: str = RUN) -> list[tuple[str, int]]:
    return [(fault.type, fault.sequence) for fault in verify_chain(tenant, run_id, lines)]


def test_the_contracts_vectors_are_reproduced():
    entries = [b'{"a":1}', b'{"a":2}', b'{"a":3}']
    leaves = [leaf_hash(entry) for entry in entries]
    start = genesis("default", "run-1")
    hashes = [link_hash(start, leaves[0])]
    hashes += [link_hash(hashes[0], leaves[1])]
    hashes += [link_hash(hashes[1], leaves[2])]
    assert start == "7a6c2c7225250818de30b4be122a03be46edd94a63803e5dd0a09cfc54aed30b"
    assert leaves == [
        "c7261463ebd776f4650b6d0fe942d9cc38c925d90f77d440ab6df8d5dd258c5f",
        "0bec997b2405f63fe3f73b4576d70a9a2a503df18faadd77cf408e6d3dc4e2cd",
        "4f96e2536e3e990d89dae38a1cb062c42ee5e02980f0f0fca066b459e829194c",
    ]
    assert hashes == [
        "30f35ec457734f5f5d294abcd8d7563f1a43c42509aacea3d5c770533b58d4a0",
        "86772c3fd16ab7f40492c9ee37c06fc533808a2b9f89ef230e140c4158d55dd0",
        "db014bf1586d98f6554fc993b3a2dcbe5c2d4e8c9ac00e9a97a5482f065ac354",
    ]
    assert merkle_root(leaves) == "a79bd40194b6654d46059e1580a2157b3bf25e7eeb833c8924398c9add3856ea"


def test_an_entry_is_the_event_without_its_links():
    assert entry_bytes({"hash": "x", "b": 1, "prev_hash": "y", "a": 2}) == b'{"a":2,"b":1}'


@pytest.mark.parametrize("size", [0, 1, 2, 7])
def test_an_unchanged_log_has_no_fault(size):
    assert faults(make_log(size)) == []


@given(st.integers(1, 5), st.data())
@settings(max_examples=400, deadline=None)
def test_any_flipped_byte_is_found(size, data):
    lines = make_log(size)
    at = data.draw(st.integers(0, size - 1))
    line = bytearray(lines[at])
    line[data.draw(st.integers(0, len(line) - 1))] ^= data.draw(st.integers(1, 255))
    lines[at] = bytes(line)
    assert faults(lines)


def test_every_single_bit_of_a_line_counts():
    lines = make_log(3)
    for at in range(len(lines[1])):
        for bit in range(8):
            line = bytearray(lines[1])
            line[at] ^= 1 << bit
            assert faults([lines[0], bytes(line), lines[2]]), (at, bit)


@given(st.integers(2, 8), st.data())
def test_a_dropped_line_is_found_unless_it_is_the_last(size, data):
    lines = make_log(size)
    at = data.draw(st.integers(0, size - 2))
    assert faults(lines[:at] + lines[at + 1 :]) == [("sequence_gap", at + 2)]
    assert faults(lines[:-1]) == []


@given(st.integers(2, 8), st.data())
def test_swapped_lines_are_found(size, data):
    lines = make_log(size)
    one = data.draw(st.integers(0, size - 2))
    other = data.draw(st.integers(one + 1, size - 1))
    lines[one], lines[other] = lines[other], lines[one]
    assert {kind for kind, _ in faults(lines)} == {"sequence_gap"}


@given(st.integers(1, 6), st.data())
def test_an_inserted_or_repeated_line_is_found(size, data):
    lines = make_log(size)
    at = data.draw(st.integers(0, size))
    repeated = lines[:at] + [data.draw(st.sampled_from(lines))] + lines[at:]
    assert faults(repeated)
    forged = {"run_id": RUN, "sequence": at + 1, "payload": {"summary": "forged"}}
    link = link_hash("00" * 32, leaf_hash(entry_bytes(forged)))
    inserted = canonical_json({**forged, "prev_hash": "00" * 32, "hash": link})
    assert faults([*lines[:at], inserted, *lines[at:]])


@given(st.integers(1, 6), st.data())
def test_a_line_of_another_run_is_found(size, data):
    lines, foreign = make_log(size), make_log(size, run_id="run-2")
    at = data.draw(st.integers(0, size - 1))
    lines[at] = foreign[at]
    assert ("run_id_mismatch", at + 1) in faults(lines)


def test_a_whole_log_of_another_run_or_tenant_is_found_and_reported_once():
    assert faults(make_log(4, run_id="run-2")) == [("genesis_mismatch", 1), ("run_id_mismatch", 1)]
    assert faults(make_log(4, tenant="other")) == [("genesis_mismatch", 1)]


def test_each_fault_is_reported_once_and_the_check_goes_on():
    lines = make_log(9)
    lines[1] = lines[1].replace(b"step 2", b"step X")
    lines[4] = lines[4][:-1]
    lines[6] = lines[6].replace(b'"hash":"', b'"hash":"0', 1)
    assert faults(lines) == [("chain_break", 2), ("chain_break", 7), ("format_invalid", 5)]


def test_a_mismatch_tells_what_was_expected():
    lines = make_log(3)
    (fault,) = verify_chain(TENANT, RUN, [lines[0], lines[2]])
    assert fault == Mismatch("sequence_gap", 3, expected=2, actual=3)


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"[]", b"null", b"{}", b"not json", b"\xff", b'{"a":NaN}', b'{"a":1e999}', b"[" * 5000),
        *(b'{"hash":"00","prev_hash":"00","run_id":"run-1","sequence":true}', make_log(1)[0] + b"\n"),
        make_log(1)[0].replace(b":", b": ", 1),
    ],
)
def test_a_line_that_is_no_canonical_event_is_a_format_fault(line):
    assert faults([line]) == [("format_invalid", 1)]


def test_tenant_and_run_cannot_be_shifted_into_each_other():
    assert genesis("ab", "c") != genesis("a", "bc")
    assert genesis("é", "x") == hashlib.sha256(b"rune/runs/v1\x00\xc3\xa9\x00x").hexdigest()
