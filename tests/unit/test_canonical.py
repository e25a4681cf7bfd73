from __future__ import annotations

import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rune_common.domain.canonical import MAX_DEPTH, CanonicalError, canonical_json, normalise

SAFE = 2**53 - 1
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)
loose_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": [True, None, False]}, b'{"a":[true,null,false],"b":1}'),
        ('\x0f\n\b\f\t\r"\\/\x7f<é', b'"\\u000f\\n\\b\\f\\t\\r\\"\\\\/\x7f<\xc3\xa9"'),
        ([1.0, -0.0, 1e-7, 1e21, 1e-6, 333333333.3333333], b"[1,0,1e-7,1e+21,0.000001,333333333.3333333]"),
        ([SAFE, -SAFE], b"[9007199254740991,-9007199254740991]"),
    ],
)
def test_the_form_is_that_of_rfc_8785(value, expected):
    assert canonical_json(value) == expected


def test_members_are_sorted_by_utf_16():
    # The example of RFC 8785, section 3.2.3: U+1F600 comes before U+FB33.
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\xf6": 7}
    assert list(json.loads(canonical_json(value)).values()) == [2, 4, 6, 7, 1, 5, 3]


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        ("0000000000000001", "5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
    ],
)
def test_numbers_are_written_as_in_appendix_b(bits, expected):
    number = struct.unpack(">d", bytes.fromhex(bits))[0]
    assert canonical_json(number).decode() == expected


@pytest.mark.parametrize(
    "value",
    [
        *(
            math.nan,
            math.inf,
            -math.inf,
            "\ud800",
            {"\udfff": 1},
            SAFE + 1,
            -SAFE - 1,
            float(2**53),
            1e20,
            {1: 2},
        ),
        *(b"bytes", {"a": {1, 2}}),
    ],
)
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(CanonicalError):
        canonical_json([value])
    with pytest.raises(CanonicalError):
        canonical_json({"member": value})


def test_a_refusal_repeats_nothing_of_the_value():
    with pytest.raises(CanonicalError) as caught:
        canonical_json({"password": SAFE + 12345})
    assert str(SAFE + 12345) not in str(caught.value)
    assert caught.value.__cause__ is None


def test_endless_nesting_is_refused():
    value: list[object] = []
    value.append(value)
    with pytest.raises(CanonicalError):
        canonical_json(value)


@given(json_values)
def test_parsing_and_repeating_gives_the_same_bytes(value):
    once = canonical_json(normalise(value, strict=False))
    assert canonical_json(json.loads(once)) == once


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_keeps_its_value_or_is_refused(number):
    try:
        written = canonical_json(number)
    except CanonicalError:
        assert SAFE < abs(number) < 1e21
    else:
        assert float(json.loads(written)) == number


@given(json_values, st.randoms(use_true_random=False))
def test_the_order_of_members_is_irrelevant(value, random):
    value = normalise(value, strict=False)

    def shuffled(item):
        if isinstance(item, dict):
            names = list(item)
            random.shuffle(names)
            return {name: shuffled(item[name]) for name in names}
        return [shuffled(entry) for entry in item] if isinstance(item, list) else item

    assert canonical_json(shuffled(value)) == canonical_json(value)


@given(loose_values)
def test_whatever_is_normalised_has_a_canonical_form(value):
    once = normalise(value, strict=False)
    canonical_json(once)
    assert normalise(once, strict=True) == once


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, "[INVALID:nan]"),
        (-math.inf, "[INVALID:infinity]"),
        ("a\ud800b", "a[INVALID:surrogate]b"),
        ({"\udc00": 1}, {"[INVALID:surrogate]": 1}),
        ({"a": b"raw"}, {"a": "[INVALID:type]"}),
    ],
)
def test_what_is_not_allowed_is_refused_or_becomes_a_marker(value, expected):
    assert normalise(value, strict=False) == expected
    with pytest.raises(CanonicalError):
        normalise(value, strict=True)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (SAFE, SAFE),
        (SAFE + 1, "9007199254740992"),
        (-(10**30), "-" + "1" + "0" * 30),
        (1e20, "100000000000000000000"),
        (1e300, 1e300),
        ("\ud83d\ude00", "\U0001f600"),
        ((1, (2,)), [1, [2]]),
        (True, True),
    ],
)
def test_numbers_too_large_become_text_and_the_rest_stays(value, expected, strict):
    found = normalise(value, strict=strict)
    assert found == expected
    assert type(found) is type(expected)


def test_an_integer_of_ten_thousand_digits_does_no_harm():
    assert normalise(1 << 40_000, strict=False).startswith("0x1")


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_sixteen_containers_inside_each_other_are_the_most():
    assert normalise(nested(MAX_DEPTH), strict=True) == nested(MAX_DEPTH)
    with pytest.raises(CanonicalError):
        normalise(nested(MAX_DEPTH + 1), strict=True)
    found = normalise(nested(500), strict=False)
    for _ in range(MAX_DEPTH):
        (found,) = found
    assert found == "[INVALID:depth]"


def test_the_value_itself_is_not_changed():
    value = {"a": [math.nan, (1,)]}
    normalise(value, strict=False)
    assert math.isnan(value["a"][0])
    assert value["a"][1] == (1,)
