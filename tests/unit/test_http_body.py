"""Bodies: size, encoding, strict JSON (jobs-api.md 1.1, acceptance 14)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rune_common.domain.errors import InvalidBody, InvalidJson
from rune_common.http.body import MAX_BODY_BYTES, json_object

PATH = "/v1/jobs/agentic-agent"
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
NAMES = st.text(alphabet="abc", max_size=3)
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e6, 1e6)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def nested(depth: int) -> bytes:
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b" ",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":"\\u0000"}',
        b'{"\\u0000":1}',
        b'{"a":"\x00"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        b'{"a":1,}',
        b"{'a':1}",
        b'{"a":1} x',
        b'{"a":' + b"9" * 5000 + b"}",
        nested(33),
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_is_not_strict_json_is_refused(raw):
    with pytest.raises(InvalidJson):
        json_object(raw)


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"text"', b"1", b"true"])
def test_json_that_is_no_object_is_an_invalid_body(raw):
    with pytest.raises(InvalidBody):
        json_object(raw)


def test_an_empty_body_is_an_empty_object():
    assert json_object(b"").members == {}
    assert json_object(b"").sha256 == json_object(b" {} ").sha256


def test_thirty_two_containers_may_lie_inside_each_other():
    assert json_object(nested(32)).members


def test_brackets_inside_texts_are_not_depth():
    assert json_object(json.dumps({"a": "[" * 100 + "{" * 100}).encode()).members


def test_an_escaped_pair_of_surrogates_is_one_character():
    assert json_object(b'{"a":"\\ud83d\\ude00"}').members == {"a": "\N{GRINNING FACE}"}


def test_of_equal_names_the_last_counts():
    assert json_object(b'{"a":1,"a":2}').members == {"a": 2}


def test_spelling_does_not_change_the_hash_but_a_value_does():
    assert json_object(b'{"a":1,"b":2}').sha256 == json_object(b'{ "b": 2.0, "a": 1 }').sha256
    assert json_object(b'{"a":1,"b":2}').sha256 != json_object(b'{"a":1,"b":3}').sha256


def test_numbers_without_a_canonical_form_still_have_a_hash():
    big = json_object(b'{"a":123456789012345678901}')
    assert big.sha256 != json_object(b'{"a":123456789012345678902}').sha256


@given(st.dictionaries(st.text(alphabet="xyz", max_size=3), JSON_VALUES, max_size=4))
def test_every_json_object_is_read_as_it_was_written(value):
    assert json_object(json.dumps(value).encode()).members == value


async def chunks(*parts: bytes):
    for part in parts:
        yield part


async def test_a_chunked_body_is_read(client):
    answer = await client.post(PATH, content=chunks(b'{"quest', b'ion": "why?"}'))
    assert answer.status_code == 202


async def test_the_largest_body_is_read_and_one_byte_more_is_not(client):
    def padded(size: int) -> bytes:
        text = b'{"question": "why?"}'
        return text + b" " * (size - len(text))

    assert (await client.post(PATH, content=padded(MAX_BODY_BYTES))).status_code == 202
    for content in (padded(MAX_BODY_BYTES + 1), chunks(padded(MAX_BODY_BYTES), b" ")):
        answer = await client.post(PATH, content=content)
        assert answer.status_code == 413
        assert answer.json()["error"] == "request body exceeds maximum size (10 MiB)"
        assert answer.json()["code"] == "body_too_large"


async def test_a_body_without_end_is_not_read_to_its_end(client):
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 1
            yield b" " * (1024 * 1024)

    assert (await client.post(PATH, content=endless())).status_code == 413
    assert sent <= 22


async def test_a_declared_length_far_over_the_limit_is_refused_unread(client):
    async def unread():
        raise AssertionError("nothing may be read")
        yield b""

    headers = {"Content-Length": str(MAX_BODY_BYTES * 3)}
    assert (await client.post(PATH, content=unread(), headers=headers)).status_code == 413


@pytest.mark.parametrize(
    ("raw", "code", "text"),
    [
        (b"{", "invalid_json", "invalid JSON payload"),
        (b"[]", "invalid_body", "JSON request body must be an object"),
    ],
)
async def test_how_a_bad_body_is_answered(client, raw, code, text):
    answer = await client.post(PATH, content=raw, headers={"Content-Type": "text/plain"})
    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["error"]) == (code, text)
