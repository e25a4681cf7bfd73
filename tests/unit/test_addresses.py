from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rune_common.domain.addresses import (
    AddressNotAllowed,
    AddressPolicy,
    AddressUnresolved,
    CheckedUrl,
    system_resolver,
)

PUBLIC = AddressPolicy()
LOCAL = AddressPolicy(("localhost", "127.0.0.0/8", "[::1]"))

AMBIGUOUS = [
    r"http://0x7f.1",
    r"http://0x7f000001",
    r"http://2130706433",
    r"http://127.1",
    r"http://0177.0.0.1",
    r"127.1:80",
    r"http://0",
    r"http://a.0x",
    r"http://0x7f.0.0.1.",
    r"http://127.0.0.01",
    r"http://1.2.3.4.5",
    r"http://a.b.1",
    r"http://[::1",
    r"http://::1",
    r"http://[::1]x",
    r"http://[]",
    r"http://[fe80::1%25e]",
    r"http://user@host",
    r"http://user:pw@host",
    r"http://@host",
    r"user@host",
    r"http://host#f",
    r"http://host?q=1",
    r"http://host/a?q",
    r"http://host/#",
    r"http://host:0",
    r"http://host:65536",
    r"http://host:-1",
    r"http://host:",
    r"http://host:８０",
    r"http://host:+80",
    r"http://host:080000",
    r"http://h:80:80",
    r"ftp://host",
    r"file:///etc/passwd",
    r"gopher://h",
    r"javascript:alert(1)",
    r"//host",
    r"http://",
    r"http:///x",
    r"http:host",
    r"http://host\@evil",
    r"http://a..b",
    r"http://１２７.0.0.1",
    r"http://exämple.com",
    r"http://ⓛocalhost",
    r"http://host%00",
    r"http://%31%32%37.1",
    r"http://-host",
    r"http://.",
    r"http://h:8\0",
]
BLANKS = [
    "",
    " http://host",
    "http://host ",
    "http://ho st",
    "http://host\n",
    "http://host:8 0",
    "http://h/\x00",
]


@pytest.mark.parametrize("url", [*AMBIGUOUS, *BLANKS, "http://" + "a" * 64, "http://h/" + "a" * 2048])
def test_a_url_that_readers_could_understand_differently_is_refused(url):
    with pytest.raises(AddressNotAllowed) as caught:
        LOCAL.check_text(url)
    assert len(url) < 4 or url not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected", "host", "port"),
    [
        ("ollama.example:11434", "http://ollama.example:11434", "ollama.example", 11434),
        ("ollama.example", "http://ollama.example", "ollama.example", 80),
        ("HTTPS://Ollama.Example./v1/", "https://ollama.example/v1", "ollama.example", 443),
        ("http://8.8.8.8.:80/", "http://8.8.8.8:80", "8.8.8.8", 80),
        (
            "http://[2606:4700:0:0::1111]:65535/a@b",
            "http://[2606:4700::1111]:65535/a@b",
            "2606:4700::1111",
            65535,
        ),
        ("http://xn--exmple-cua.com", "http://xn--exmple-cua.com", "xn--exmple-cua.com", 80),
        ("http://my_host:1", "http://my_host:1", "my_host", 1),
        ("http://1password.com", "http://1password.com", "1password.com", 80),
    ],
)
def test_a_url_gets_one_spelling(url, expected, host, port):
    found = PUBLIC.check_text(url)
    assert (found.url, found.host, found.port) == (expected, host, port)
    assert PUBLIC.check_text(found.url) == found


@given(st.text(max_size=40))
def test_a_text_is_refused_or_gets_a_spelling_that_stays(text):
    try:
        found = PUBLIC.check_text(text)
    except AddressNotAllowed:
        return
    assert PUBLIC.check_text(found.url) == found
    assert found.scheme in ("http", "https")
    assert 0 < found.port < 65536


def test_a_name_is_looked_up_once_and_every_address_is_checked():
    asked = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["8.8.8.8", "2606:4700::1111", "8.8.8.8"]

    found = PUBLIC.check_url("name.example:11434/x", resolve)
    assert found == CheckedUrl(
        "http://name.example:11434/x", "http", "name.example", 11434, ("8.8.8.8", "2606:4700::1111")
    )
    assert asked == [("name.example", 11434)]
    with pytest.raises(AddressNotAllowed):
        PUBLIC.check_url("name.example", lambda host, port: ["8.8.8.8", "10.0.0.1"])


def test_an_address_is_not_looked_up():
    def resolve(host: str, port: int) -> list[str]:
        raise AssertionError("looked up")

    assert LOCAL.check_url("http://127.0.0.1:1", resolve).addresses == ("127.0.0.1",)
    assert LOCAL.check_url("http://[::1]", resolve).addresses == ("::1",)


def test_a_name_without_an_address_is_told_apart():
    def fails(host: str, port: int) -> list[str]:
        raise OSError

    assert PUBLIC.check_text("http://name.example").literal is False
    for resolve in (fails, lambda host, port: []):
        with pytest.raises(AddressUnresolved):
            PUBLIC.check_url("http://name.example", resolve)


@pytest.mark.parametrize("answer", ["fe80::1%eth0", "::ffff:10.0.0.1", "nonsense", ""])
def test_odd_answers_of_a_resolver_are_refused(answer):
    with pytest.raises(AddressNotAllowed):
        PUBLIC.check_url("http://name.example", lambda host, port: [answer])


@pytest.mark.parametrize(
    ("entry", "allowed", "refused"),
    [
        ("10.1.0.0/16", ["http://10.1.2.3:99", "http://[::ffff:10.1.2.3]"], ["http://10.2.0.1"]),
        ("10.1.0.0/16:11434", ["http://10.1.2.3:11434"], ["http://10.1.2.3", "http://10.1.2.3:11435"]),
        ("192.168.1.5", ["http://192.168.1.5"], ["http://192.168.1.6"]),
        ("192.168.1.5:80", ["http://192.168.1.5"], ["https://192.168.1.5"]),
        ("[::1]", ["http://[::1]:5"], ["http://127.0.0.1", "http://[::2]"]),
        ("::1", ["http://[::1]:5"], ["http://127.0.0.1"]),
        ("[::1]:443", ["https://[::1]"], ["http://[::1]"]),
        ("fd00::/8", ["http://[fd12::1]"], ["http://[fc12::1]"]),
        ("[fd00::/8]:80", ["http://[fd12::1]"], ["http://[fd12::1]:81"]),
        ("::ffff:10.0.0.1", ["http://[::ffff:10.0.0.1]"], ["http://10.0.0.2"]),
    ],
)
def test_the_allow_list_opens_exactly_what_it_names(entry, allowed, refused):
    policy = AddressPolicy((entry,))
    for url in allowed:
        policy.check_text(url)
    for url in refused:
        with pytest.raises(AddressNotAllowed):
            policy.check_text(url)


def test_a_listed_host_may_have_any_address():
    policy = AddressPolicy(("Ollama.Internal:11434",))

    def resolve(host: str, port: int) -> list[str]:
        return ["10.0.0.1"]

    assert policy.check_url("http://ollama.internal.:11434", resolve).addresses == ("10.0.0.1",)
    for other in ("http://ollama.internal", "http://x.ollama.internal:11434", "http://10.0.0.1:11434"):
        with pytest.raises(AddressNotAllowed):
            policy.check_url(other, resolve)


def test_without_public_addresses_only_the_list_counts():
    policy = AddressPolicy(("10.0.0.0/8", "good.example"), allow_public=False)
    policy.check_text("http://10.0.0.1")
    policy.check_url("http://any.example", lambda host, port: ["10.0.0.1"])
    policy.check_url("http://good.example", lambda host, port: ["8.8.8.8"])
    with pytest.raises(AddressNotAllowed):
        policy.check_text("http://8.8.8.8")
    with pytest.raises(AddressNotAllowed):
        policy.check_url("http://any.example", lambda host, port: ["10.0.0.1", "8.8.8.8"])


@pytest.mark.parametrize(
    "entry", ["127.1", "host:0", "host:x", "a b", "http://host", "[::1]x", "10.0.0.0/33", "*"]
)
def test_a_wrong_entry_of_the_allow_list_is_refused(entry):
    with pytest.raises(ValueError, match="allow-list"):
        AddressPolicy((entry,))


def test_empty_entries_of_the_allow_list_are_nothing():
    assert AddressPolicy(("", " ")).check_text("http://8.8.8.8").host == "8.8.8.8"


def test_the_system_resolver_knows_this_machine():
    addresses = system_resolver("localhost", 80)
    assert set(addresses) <= {"127.0.0.1", "::1"}
    assert LOCAL.check_url("http://localhost:80").addresses == tuple(dict.fromkeys(addresses))
