from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rune_common.domain.addresses import AddressNotAllowed, AddressPolicy

PUBLIC = AddressPolicy()

REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.9.9.9",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
]
REFUSED_V6 = [
    "::",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "64:ff9b:1::1",
    "fd00:ec2::254",
]
ALLOWED = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.1.1",
    "172.15.1.1",
    "172.32.0.1",
    "191.255.255.255",
    "192.0.1.1",
    "198.17.1.1",
    "198.20.0.1",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00::1",
]


def embedded(v4: str) -> list[str]:
    number = int(ipaddress.IPv4Address(v4))
    forms = [
        0xFFFF << 32 | number,
        number,
        0x2002 << 112 | number << 80,
        0x64FF9B << 96 | number,
        # Teredo keeps the client's address inverted.
        0x20010000 << 96 | 0x08080808 << 64 | (number ^ 0xFFFFFFFF),
    ]
    return [str(ipaddress.IPv6Address(form)) for form in forms]


@pytest.mark.parametrize(
    "address", [*REFUSED, *REFUSED_V6, *(form for v4 in REFUSED for form in embedded(v4))]
)
def test_an_address_of_a_refused_range_is_refused(address):
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(AddressNotAllowed):
        PUBLIC.check_text(f"http://{host}:11434")
    with pytest.raises(AddressNotAllowed):
        PUBLIC.check_text(f"{host}./" if host == address else host)
    with pytest.raises(AddressNotAllowed):
        PUBLIC.check_addresses(["8.8.8.8", address])
    with pytest.raises(AddressNotAllowed):
        PUBLIC.check_url("http://name.example", lambda host, port: [address])


@pytest.mark.parametrize("address", ALLOWED)
def test_an_address_beside_the_refused_ranges_is_allowed(address):
    host = f"[{address}]" if ":" in address else address
    assert PUBLIC.check_text(f"https://{host}").literal
    assert PUBLIC.check_addresses([address]) == (address,)


@pytest.mark.parametrize("form", range(5))
def test_a_public_address_embedded_in_ipv6_is_allowed(form):
    PUBLIC.check_addresses([embedded("8.8.8.8")[form]])


@given(st.ip_addresses())
def test_the_answer_depends_on_the_address_and_not_on_its_spelling(address):
    spellings = [str(address), address.exploded]
    answers = []
    for text in spellings:
        try:
            PUBLIC.check_addresses([text])
            answers.append(True)
        except AddressNotAllowed:
            answers.append(False)
    assert len(set(answers)) == 1
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        assert answers == [False, False]
