"""Which address a request comes from (jobs-api.md 2)."""

from __future__ import annotations

import pytest

from rune_common.http.source_ip import source_ip


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "expected"),
    [
        ("10.0.0.1", ["1.1.1.1"], (), "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1"], ("10.0.0.2",), "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1"], ("10.0.0.1",), "1.1.1.1"),
        ("10.0.0.1", ["9.9.9.9, 1.1.1.1"], ("10.0.0.1",), "1.1.1.1"),
        ("10.0.0.1", ["9.9.9.9, 1.1.1.1, 10.0.0.7"], ("10.0.0.0/8",), "1.1.1.1"),
        ("10.0.0.1", ["9.9.9.9", "1.1.1.1"], ("10.0.0.1",), "1.1.1.1"),
        ("10.0.0.1", ["10.0.0.7"], ("10.0.0.0/8",), "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1, not-an-address"], ("10.0.0.1",), "10.0.0.1"),
        ("10.0.0.1", [], ("10.0.0.1",), "10.0.0.1"),
        ("fd00::1", ["2001:db8::5"], ("proxy.example", "fd00::/8"), "2001:db8::5"),
    ],
)
def test_forwarded_addresses_count_only_as_far_as_proxies_are_trusted(peer, forwarded, trusted, expected):
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    assert source_ip({"client": (peer, 1), "headers": headers}, trusted) == expected


def test_a_peer_without_an_address_has_one_name():
    assert source_ip({"client": None, "headers": []}, ("unknown",)) == "unknown"
