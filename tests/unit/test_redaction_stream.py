from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rune_common.domain.redaction import Redactor
from rune_common.domain.redaction_stream import RedactionStream

GITHUB = b"ghp_" + b"A1b2" * 9
JWT = b"eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl"
PEM = b"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nghijkl==\n-----END RSA PRIVATE KEY-----\n"
KNOWN = (
    "correct horse battery",
    "zürich-geheim",
    "hunter2hunter2",
    "abcabcabcabcab",
    "REDACTED",
    "jwt] then",
)

# What stands around secrets, and per rule the pieces that its beginnings, ends and overlaps are made of.
# Texts joined from one or two rules' pieces meet those far more often than arbitrary bytes would.
AROUND = [
    b" ",
    b"\n",
    b"\r\n",
    b'"',
    b"a",
    b"7",
    b"-",
    b"_",
    b".",
    b",",
    b"[REDACTED:jwt]",
    b"\xff",
    "é".encode(),
]
PIECES = {
    "tokens": [
        GITHUB,
        b"ghp_",
        b"github_pat_",
        b"A" * 21,
        b"sk-",
        b"AIza",
        b"a" * 16,
        b"xoxb-",
        b"AKIA",
        b"A1" * 8,
    ],
    "jwt": [JWT, b"ey", b"eyJ", b"eyJa", b".", b".eyJb", b".sig", b"x" * 5200],
    "pem": [
        PEM,
        b"-----",
        b"-----BEGIN ",
        b"EC ",
        b"PRIVATE KEY",
        b"PRIVATE KEY-----",
        b"-----END EC ",
        b"-----END ",
    ],
    "header": [
        b"Authorization:",
        b"authorization: ",
        b"Bearer ",
        b"Basic ",
        b"abcd",
        b"token=",
        b"[REDACTED:",
        b"\t",
    ],
    "url": [b"pg", b"://", b":/", b":", b"/", b"user", b"@", b"x" * 1030, b"token=", b"[", b"]", b"\\"],
    "assignment": [
        b"password",
        b"API-Key",
        b"token",
        b"secret",
        b"=",
        b"=>",
        b":",
        b"\\",
        b"'",
        b";",
        b"[REDACTED:x]",
        b"\t",
    ],
    "known": [
        *(value.encode() for value in KNOWN),
        b"hunter2",
        b"correct ",
        b"horse",
        b"abcabc",
        b"z\xc3",
        b"[REDACTED:",
    ],
}


@st.composite
def joined(draw) -> bytes:
    chosen = draw(st.lists(st.sampled_from(sorted(PIECES)), min_size=1, max_size=2))
    pieces = [piece for name in chosen for piece in PIECES[name]] + AROUND
    return b"".join(draw(st.lists(st.sampled_from(pieces), max_size=10)))


inputs = joined()
cuts = st.lists(st.integers(0, 10_000), max_size=12)
redactors = st.sampled_from([Redactor(), Redactor(KNOWN)])

# One per place where a rule needs the bytes that follow, or where rules meet.
CORNERS = [
    b"AIza-sk-" + b"a" * 31,
    b"http://x:token=a/b,@h",
    b"http://x:token=" + b"a" * 1010 + b",@" + b"h" * 30,
    b"a://b:[REDACTED:secret_assignment]@h",
    b"a://b:" + b"c" * 1010 + b"-token=a i",
    b"a://b:" + b"c" * 1100 + b"@h i",
    b"a://b:p@" + b"h" * 1015 + b" i",
    b"Bearer token=a b",
    b"Bearer [REDACTED:jwt]abcdefgh i",
    b"Bearer abc[REDACTED:jwt] defghijk",
    b"Authorization: [REDACTED:jwt]\nx",
    b"Authorization: [REDACTED:jwt] \nx",
    b'\\"password\\":\\"a\\\\b\\",\\"n\\":1',
    b'token=[REDACTED:jwt]\\"x',
    b"token=[REDACTED:jwt]\\x",
    b"token=a\\",
    b"token : = a",
    b"secret:=x token==y passwd=>z",
    b"secretoken=abc client_secretx=d",
    b"eyJa.eyJb eyJa.eyJ.c-_.d",
    b"hunter2hunter2" + GITHUB + b"hunter2hunter",
    b"abcabcabcabcabcabcab",
    PEM + GITHUB,
    b"--------BEGIN EC PRIVATE KEY----------END EC PRIVATE KEY-----x",
    b"-----BEGIN EC PRIVATE KEY-----\n-----END RSA PRIVATE KEY-----\nx",
]


def streamed(redactor: Redactor, chunks: list[bytes]) -> bytes:
    stream = RedactionStream(redactor)
    return b"".join([*(stream.feed(chunk) for chunk in chunks), stream.close()])


def split(data: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in at)})
    return [data[left:right] for left, right in zip(edges, edges[1:], strict=False)]


@pytest.mark.parametrize("data", CORNERS)
@pytest.mark.parametrize("redactor", [Redactor(), Redactor(KNOWN)])
def test_a_corner_gives_the_same_for_every_split_in_two_and_twice(data, redactor):
    whole, _ = redactor.raw(data)
    assert redactor.raw(whole) == (whole, {})
    assert streamed(redactor, [data[at : at + 1] for at in range(len(data))]) == whole
    for at in range(len(data)):
        assert streamed(redactor, [data[:at], data[at:]]) == whole


@given(inputs, cuts, redactors)
@settings(max_examples=600, deadline=None)
def test_a_stream_gives_the_same_as_the_whole_for_every_split(data, at, redactor):
    whole, counts = redactor.raw(data)
    assert streamed(redactor, split(data, at)) == whole


@given(inputs, redactors)
@settings(max_examples=200, deadline=None)
def test_a_stream_of_single_bytes_gives_the_same_as_the_whole(data, redactor):
    assert streamed(redactor, [data[at : at + 1] for at in range(len(data))]) == redactor.raw(data)[0]


@given(inputs, redactors)
@settings(max_examples=600, deadline=None)
def test_redacting_bytes_twice_changes_nothing(data, redactor):
    once, _ = redactor.raw(data)
    assert redactor.raw(once) == (once, {})


@given(st.binary(max_size=300), cuts)
@settings(deadline=None)
def test_any_bytes_survive_a_stream_as_they_survive_the_whole(data, at):
    assert streamed(Redactor(KNOWN), split(data, at)) == Redactor(KNOWN).raw(data)[0]


@pytest.mark.parametrize("secret", [GITHUB, JWT, PEM, b"AKIAIOSFODNN7EXAMPLE", KNOWN[1].encode()])
def test_a_secret_cut_in_two_at_any_place_is_found(secret):
    redactor = Redactor(KNOWN)
    expected = redactor.raw(b"a " + secret + b" b")[0]
    assert secret not in expected
    for at in range(len(secret) + 1):
        assert streamed(redactor, [b"a " + secret[:at], secret[at:] + b" b"]) == expected


def test_counts_are_those_of_the_whole():
    data = GITHUB + b"\nBearer " + JWT + b"\n" + PEM + b"password=abc hunter2hunter2"
    stream = RedactionStream(Redactor(KNOWN))
    for at in range(0, len(data), 7):
        stream.feed(data[at : at + 7])
    stream.close()
    assert stream.counts == Redactor(KNOWN).raw(data)[1]
    assert stream.counts == {
        "github_token": 1,
        "jwt": 1,
        "pem_private_key": 1,
        "secret_assignment": 1,
        "known_value": 1,
    }


def test_plain_text_is_passed_on_at_once():
    stream = RedactionStream(Redactor(KNOWN))
    line = b"NAME  READY\npod-1 0/1 CrashLoopBackOff 5m\n"
    assert stream.feed(line) == line
    assert stream.held == 0


def test_a_key_without_an_end_is_redacted_to_the_end():
    begin = PEM[:45]
    assert streamed(Redactor(), [b"a\n", begin, b"x" * 100_000, b"more"]) == b"a\n[REDACTED:pem_private_key]"


@pytest.mark.parametrize(
    "hostile",
    [
        b"eyJ" + b"a" * 100_000,
        b"eyJa.eyJ" + b"a" * 100_000,
        b"postgres://user:" + b"a" * 100_000,
        b"Authorization:" + b" " * 100_000,
        b"password" + b" " * 100_000,
        b"-----BEGIN " + b"A" * 100_000,
        b"Bearer " + b"a" * 100_000,
        b"z" * 100_000,
        b"-----BEGIN EC PRIVATE KEY-----" + b"A" * 100_000,
        b"eyJa.eyJa" * 11_000,
    ],
)
def test_no_more_than_16_kib_are_held_back(hostile):
    stream = RedactionStream(Redactor([*KNOWN, "z" * 5000, "ü" * 3000]))
    most = 0
    for at in range(0, len(hostile), 997):
        stream.feed(hostile[at : at + 997])
        most = max(most, stream.held)
    assert most <= 16 * 1024


@pytest.mark.parametrize(
    "unit",
    [
        *(b"ghp_", b"-----BEGIN ", b"Bearer ", b"a://b:[", b"password ", b'secret"', b"[REDACTE:"),
        *(b"abcabc ", b"correct ", b"eyJ.eyj ", b"a@b:c ", b"ey"),
    ],
)
def test_a_mebibyte_of_mere_beginnings_is_left_as_it_is(unit):
    # Each is the worst case of one rule: with a quadratic one this would take hours.
    data = unit * (1024 * 1024 // len(unit))
    assert Redactor(KNOWN).raw(data) == (data, {})


@pytest.mark.parametrize(
    ("unit", "rule"),
    [
        (b"eyJ", "jwt"),
        (b"sk-", "api_key"),
        (b"Authorization: ", "auth_header"),
        (b"token=", "secret_assignment"),
    ],
)
def test_a_mebibyte_of_one_candidate_is_one_match(unit, rule):
    assert Redactor(KNOWN).raw(unit * (1024 * 1024 // len(unit)))[1] == {rule: 1}


def test_a_closed_stream_takes_nothing_more():
    stream = RedactionStream(Redactor())
    assert stream.feed(b"gh") == b""
    assert stream.close() == b"gh"
    assert stream.close() == b""
    with pytest.raises(ValueError, match="closed"):
        stream.feed(b"x")
