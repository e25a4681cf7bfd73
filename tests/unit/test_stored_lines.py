"""The quick way to tell a canonical line from another agrees with the library, always."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from rune_common.domain.stored_lines import read_line

NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(["a", "hash", "hashes", "payload", "prev_hash", "z", "\ue000", "\U00010000"])
EVENTS = st.dictionaries(NAMES, VALUES, max_size=8)


def canonical(event: Any) -> bytes | None:
    try:
        return rfc8785.dumps(event)
    except rfc8785.CanonicalizationError:
        return None


@given(EVENTS)
@example({"hash": "x", "prev_hash": "y", "payload": {"hash": "x", "n": 1.5}})
@example({"hash": 1e-7, "prev_hash": 1e21, "a": 0.1})
@example({"hash": "", "prev_hash": "", "\ue000": 1, "\U00010000": 2})
def test_a_canonical_line_is_read_with_the_entry_that_its_leaf_covers(event: dict[str, Any]) -> None:
    raw = canonical(event)
    if raw is None:
        return
    found = read_line(raw)
    beyond = isinstance(json.loads(raw), dict) and found is None
    if beyond:  # a whole number that only a float can hold has no canonical form here
        assert b"e+" in raw or any(len(part) > 15 for part in raw.split(b","))
        return
    assert found is not None
    entry = {name: value for name, value in event.items() if name not in ("hash", "prev_hash")}
    assert found.entry == rfc8785.dumps(entry)


@given(EVENTS, st.sampled_from([None, 1]), st.booleans(), st.booleans())
def test_a_line_in_another_form_is_refused(
    event: dict[str, Any], indent: int | None, escaped: bool, sort: bool
) -> None:
    raw = json.dumps(event, indent=indent, ensure_ascii=escaped, sort_keys=sort).encode()
    if raw != canonical(event):
        assert read_line(raw) is None


@pytest.mark.parametrize(
    "raw",
    [
        b'{"hash":"a","prev_hash":"b","x":1.0}',
        b'{"hash":"a","prev_hash":"b","x":1e-7 }',
        b'{"hash":"a","prev_hash":"b","x":1E-7}',
        b'{"hash":"a","prev_hash":"b","x":0.10}',
        b'{"hash":"a","prev_hash":"b","x":-0}',
        b'{"hash":"a","prev_hash":"b","x":9007199254740993}',
        b'{"hash":"a","hash":"a","prev_hash":"b"}',
        b'{"prev_hash":"b","hash":"a"}',
        b'{"hash":"a","prev_hash":"b","x":NaN}',
        b'{"hash":"a","prev_hash":"b","x":"\\ud800"}',
        b'{"hash":"a","prev_hash":"b","x":"\\u0041"}',
        b'{"hash":"a","prev_hash":"b","\xf0\x90\x80\x80":1,"\xee\x80\x80":2}'[:-1],
        b"[" * 100_000,
        b"[]",
        b"",
        b"\xff",
    ],
)
def test_what_is_not_canonical_is_refused(raw: bytes) -> None:
    assert read_line(raw) is None


def test_names_are_sorted_as_utf_16_does() -> None:
    line = '{"hash":"a","prev_hash":"b","\U00010000":1,"\ue000":2}'.encode()
    assert read_line(line) is not None
    assert read_line('{"hash":"a","prev_hash":"b","\ue000":2,"\U00010000":1}'.encode()) is None
