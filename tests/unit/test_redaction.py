from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rune_common.domain.redaction import Redaction, Redactor

GITHUB = "ghp_" + "A1b2" * 9
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N"
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def redacted(text: str, *known: str) -> str:
    return Redactor(known).text(text)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"remote https://{GITHUB}@github.com/a", "remote https://[REDACTED:github_token]@github.com/a"),
        ("github_pat_" + "a_" * 11, "[REDACTED:github_token]"),
        ("x=sk-proj-" + "a1" * 10 + ".", "x=[REDACTED:api_key]."),
        ("AIza" + "S" * 35, "[REDACTED:api_key]"),
        ("xoxb-123456789012-abc!", "[REDACTED:api_key]!"),
        ("id AKIAIOSFODNN7EXAMPLE end", "id [REDACTED:aws_access_key] end"),
        ("ASIAIOSFODNN7EXAMPLE", "[REDACTED:aws_access_key]"),
        (f"jwt {JWT}, next", "jwt [REDACTED:jwt], next"),
        (
            "a\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\nbnNz\n-----END OPENSSH PRIVATE KEY-----\nz",
            "a\n[REDACTED:pem_private_key]\nz",
        ),
        ("-----BEGIN PRIVATE KEY-----\nnever ends", "[REDACTED:pem_private_key]"),
        ("Authorization: Custom a b c\nHost: x", "Authorization: [REDACTED:auth_header]\nHost: x"),
        ("proxy-authorization:x\r\nHost: x", "proxy-authorization:[REDACTED:auth_header]\r\nHost: x"),
        ("curl with Bearer abcdefgh now", "curl with Bearer [REDACTED:auth_header] now"),
        ("Basic dXNlcjpwYXNz", "Basic [REDACTED:auth_header]"),
        ("postgres://app:s3cr3t@db:5432/x", "postgres://app:[REDACTED:url_password]@db:5432/x"),
        (f"a://b:{'c' * 2000}@h i", "a://b:[REDACTED:url_password] i"),
        ("eyJ" + "a" * 6000 + " b", "[REDACTED:jwt] b"),
        ("redis://:p@ss@cache", "redis://:[REDACTED:url_password]@cache"),
        ("DB_PASSWORD=hunter2;x", "DB_PASSWORD=[REDACTED:secret_assignment];x"),
        ("api-key : 'abc'", "api-key : '[REDACTED:secret_assignment]'"),
        ('{"client_secret": "abc", "n": 1}', '{"client_secret": "[REDACTED:secret_assignment]", "n": 1}'),
        (r"{\"password\":\"a\\b\",\"n\":1}", r"{\"password\":\"[REDACTED:secret_assignment]\",\"n\":1}"),
        ("aws_secret_access_key = abc/def+", "aws_secret_access_key = [REDACTED:secret_assignment]"),
    ],
)
def test_a_secret_becomes_the_marker_of_its_rule(text, expected):
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "ghp_short",
            "xghp_" + "a" * 36,
            "sk-short",
            "AKIAshort",
            "eyJhbGciOi.notajwt",
            "Bearer abc",
            "Authorization:",
        ),
        *(
            DIGEST,
            f"sha256:{DIGEST}",
            "0190f1c2-aaaa-7bbb-8ccc-1234567890ab",
            "http://localhost:11434/a@b",
            "12345678",
        ),
        *(
            "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----",
            "max_tokens 5",
            "password=",
            "secretName: x",
        ),
        *("token_usage: 5", "https://user@host/", "git@github.com:a/b.git", "the password was changed"),
    ],
)
def test_what_is_no_secret_is_kept(text):
    assert Redactor().text(text) == (text, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Authorization: Bearer {GITHUB}", "Authorization: [REDACTED:auth_header]"),
        (f"Bearer {JWT}", "Bearer [REDACTED:jwt]"),
        (f"token={GITHUB}", "token=[REDACTED:github_token]"),
        ("password=[REDACTED:jwt]x", "password=[REDACTED:secret_assignment]"),
        (
            "password=hunter2hunter2 hunter2hunter2",
            "password=[REDACTED:secret_assignment] [REDACTED:known_value]",
        ),
        ("hunter2hunter2" + GITHUB, "[REDACTED:known_value][REDACTED:github_token]"),
    ],
)
def test_rules_apply_in_the_order_of_the_table(text, expected):
    assert redacted(text, "hunter2hunter2") == expected


def test_known_values_are_found_from_eight_characters_on():
    assert redacted("x1234567x sevenxx", "12345678", "sevenxx") == "x1234567x sevenxx"
    mark = "[REDACTED:known_value]"
    assert redacted("x12345678x ümlautgeheim", "12345678", "ümlautgeheim") == f"x{mark}x {mark}"


def test_a_long_known_value_leaves_nothing_readable():
    value = "".join(f"{number:07d}é" for number in range(900))
    text, found = Redactor([value]).text(f"<{value}>")
    assert set(text.replace("[REDACTED:known_value]", "")) == {"<", ">"}
    assert [(entry.rule, entry.pointer) for entry in found] == [("known_value", "")]


def test_a_known_value_that_occurs_in_markers_does_no_harm():
    once = redacted(f"{GITHUB} REDACTED", "REDACTED", "known_value")
    assert once == "[REDACTED:github_token] [REDACTED:known_value]"
    assert redacted(once, "REDACTED", "known_value") == once


def test_known_values_do_not_show_in_the_repr():
    assert "hunter2hunter2" not in repr(Redactor(["hunter2hunter2"]))


def test_redactions_point_into_the_value():
    value = {"data": [{"a/b~c": f"{GITHUB} {GITHUB}"}, "plain"], "password": 5, "kept": 5}
    result, found = Redactor().value(value)
    marks = "[REDACTED:github_token] [REDACTED:github_token]"
    assert result == {"data": [{"a/b~c": marks}, "plain"], "password": "[REDACTED:secret_member]", "kept": 5}
    assert found == [
        Redaction("/data/0/a~1b~0c", "github_token", 2),
        Redaction("/password", "secret_member", 1),
    ]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Authorization",
            "proxy-authorization",
            "cookie",
            "Set-Cookie",
            "X-API-Key",
            "apikey",
            "secret",
            "TOKEN",
        ),
        *("private_key", "kubeconfig", "ticket", "db_password", "My-Secret", "page_token"),
    ],
)
@pytest.mark.parametrize("member", ["x", 5, True, ["a"], {"a": "b"}])
def test_a_secret_member_loses_its_whole_value(name, member):
    assert Redactor().value({name: member})[0] == {name: "[REDACTED:secret_member]"}


@pytest.mark.parametrize("member", [None, "", "[REDACTED:jwt]"])
def test_a_secret_member_that_holds_nothing_is_kept(member):
    assert Redactor().value({"token": member}) == ({"token": member}, [])


@pytest.mark.parametrize("name", ["tokens", "token_usage", "secret_name", "passwords", "cookies"])
def test_other_members_are_kept(name):
    assert Redactor().value({name: 5}) == ({name: 5}, [])


def test_a_secret_in_a_member_name_is_redacted_and_no_member_is_lost():
    value = {GITHUB: 1, "ghp_" + "b" * 30: 2, "[REDACTED:github_token]": 3}
    result, found = Redactor().value(value)
    assert result == {
        "[REDACTED:github_token]#2": 1,
        "[REDACTED:github_token]#3": 2,
        "[REDACTED:github_token]": 3,
    }
    assert [entry.pointer for entry in found] == ["/[REDACTED:github_token]#2", "/[REDACTED:github_token]#3"]


SECRETS = (GITHUB, JWT, "AKIAIOSFODNN7EXAMPLE", "sk-" + "q9" * 12, "hunter2hunter2", "geheim\ud800wort")
texts = st.text(max_size=20)
planted = st.tuples(texts, st.sampled_from(SECRETS), texts).map(" ".join)
names = st.one_of(st.text(max_size=12), st.sampled_from(["token", "data", "a-password", *SECRETS]))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts, planted),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4)),
    max_leaves=12,
)


@given(values)
@settings(deadline=None)
def test_no_planted_secret_survives(value):
    result, _ = Redactor(SECRETS[4:]).value(value)
    text = json.dumps(result, ensure_ascii=False)
    assert not [secret for secret in SECRETS if secret in text]


@given(values)
@settings(deadline=None)
def test_redacting_a_value_twice_changes_nothing(value):
    redactor = Redactor(SECRETS[4:])
    once, _ = redactor.value(value)
    assert redactor.value(once) == (once, [])


@given(st.recursive(st.integers() | st.booleans() | st.none(), lambda inner: st.lists(inner, max_size=4)))
def test_numbers_and_shape_are_kept(value):
    assert Redactor().value({"data": value}) == ({"data": value}, [])


@given(st.text(alphabet="0123456789abcdef", min_size=64, max_size=64))
def test_digests_are_kept(digest):
    assert redacted(f"sha256:{digest} {digest}") == f"sha256:{digest} {digest}"
