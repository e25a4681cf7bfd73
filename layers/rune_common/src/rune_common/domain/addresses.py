"""The address policy: where Rune may connect on a user's word (jobs-api.md 5.1, holmes-driver.md 3.5)."""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from rune_common.domain.address_ranges import Address, Network, is_refused, parse_address

MAX_URL_CHARS = 2048
LOOKUP_SECONDS = 2.0
_PORTS = {"http": 80, "https": 443}

_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.(?!-)[A-Za-z0-9_-]{1,63})*", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
# Resolvers read a name that ends in such a label as an IPv4 address: 127.1, 0x7f.1, 2130706433.
_NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)

Resolve = Callable[[str, int], list[str]]
"""(host, port) to addresses as text; raises OSError when there is none."""


class AddressNotAllowed(ValueError):
    """The policy refuses this place. The text names the rule and repeats nothing of the input."""

    code: ClassVar[str] = "backend_not_allowed"


class AddressUnresolved(ValueError):
    """The name has no address now; at submit this is no error yet (jobs-api.md 5.1)."""

    code: ClassVar[str] = "backend_unresolved"


@dataclass(frozen=True, slots=True)
class NormalisedUrl:
    """A URL in one spelling: lower-case scheme and host, no trailing dot, a port only where one was given.

    `host` has no brackets; `port` is the scheme's own where none was given; `literal` tells that `host` is
    an address.
    """

    url: str
    scheme: str
    host: str
    port: int
    literal: bool


@dataclass(frozen=True, slots=True)
class CheckedUrl:
    """A URL whose every address passed. Connect to one of `addresses`; Host and SNI keep `host`."""

    url: str
    scheme: str
    host: str
    port: int
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    host: str | None
    network: Network | None
    port: int | None

    def covers_port(self, port: int | None) -> bool:
        return self.port is None or self.port == port


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Public addresses, if `allow_public`, and what the operator lists.

    `allowlist` entries are a host name, an address or a CIDR, each with an optional `:port`; IPv6 stands in
    brackets where a port follows: `localhost`, `10.1.0.0/16:11434`, `[::1]`, `[fd00::/8]:443`, `fd00::/8`.
    A listed host name may have any address. Raises ValueError for an entry that is none of these.
    """

    allowlist: tuple[str, ...] = ()
    allow_public: bool = True
    _entries: tuple[_Entry, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        entries = tuple(_parse_entry(text.strip()) for text in self.allowlist if text.strip())
        object.__setattr__(self, "_entries", entries)

    def check_text(self, url: str) -> NormalisedUrl:
        """Check the syntax and, where the host is an address, that; nothing is looked up.

        Only http and https; no user info, query or fragment; port 1 to 65535; a missing scheme is http.
        Numbers that are no plain dotted IPv4 (127.1, 0x7f.1) and names beyond ASCII are refused, because
        resolvers differ about them. Raises AddressNotAllowed.
        """
        found = _parse_url(url)
        if found.literal:
            self.check_addresses((found.host,), port=found.port)
        return found

    def check_addresses(
        self, addresses: Iterable[str], *, port: int | None = None, host: str = ""
    ) -> tuple[str, ...]:
        """Check every address and return them all, each once, in order.

        `host` is the name they were looked up for, if any. Raises AddressNotAllowed if one of them is
        refused or none is given.
        """
        name = _plain_host(host)
        listed = bool(name) and any(entry.host == name and entry.covers_port(port) for entry in self._entries)
        found: dict[str, None] = {}
        for text in addresses:
            try:
                address = parse_address(text)
            except ValueError:
                raise AddressNotAllowed("is not an address") from None
            public = self.allow_public and not is_refused(address)
            if not (listed or public or self._covers(address, text, port)):
                raise AddressNotAllowed("is an address that the policy does not allow")
            found[str(address)] = None
        if not found:
            raise AddressNotAllowed("has no address")
        return tuple(found)

    def check_url(self, url: str, resolve: Resolve | None = None) -> CheckedUrl:
        """`check_text`, then one lookup, then every address. An address as host is not looked up.

        Raises AddressNotAllowed, or AddressUnresolved when the lookup gives nothing.
        """
        found = self.check_text(url)
        addresses = [found.host] if found.literal else _look_up(found, resolve or system_resolver)
        checked = self.check_addresses(addresses, port=found.port, host="" if found.literal else found.host)
        return CheckedUrl(found.url, found.scheme, found.host, found.port, checked)

    def _covers(self, address: Address, text: str, port: int | None) -> bool:
        # An operator may list a mapped address in its IPv6 form.
        forms = {address, ipaddress.ip_address(text.partition("%")[0])}
        return any(
            entry.network is not None
            and entry.covers_port(port)
            and any(form in entry.network for form in forms)
            for entry in self._entries
        )


def system_resolver(host: str, port: int) -> list[str]:
    """The operating system's answer, waited for at most LOOKUP_SECONDS. Raises OSError."""
    answers: list[str] = []

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        answers.extend(str(info[4][0]) for info in found)

    # The system call cannot be given a time limit, so it is left behind when it takes too long.
    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(LOOKUP_SECONDS)
    if not answers:
        raise OSError("the name does not resolve")
    return list(answers)


def _look_up(found: NormalisedUrl, resolve: Resolve) -> list[str]:
    try:
        addresses = resolve(found.host, found.port)
    except OSError:
        addresses = []
    if not addresses:
        raise AddressUnresolved("does not resolve")
    return addresses


def _parse_url(url: str) -> NormalisedUrl:
    if not 0 < len(url) <= MAX_URL_CHARS:
        raise AddressNotAllowed("has no allowed length")
    if not url.isascii() or any(char <= " " or char in "\x7f\\?#" for char in url):
        raise AddressNotAllowed("may hold neither a query, a fragment, blanks nor characters beyond ASCII")
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "http", url
    scheme = scheme.lower()
    if scheme not in _PORTS:
        raise AddressNotAllowed("must be an http or https URL")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        raise AddressNotAllowed("may hold no user name or password")
    host, port = _split_port(authority)
    literal = host.startswith("[") or _is_numeric(host)
    host = _literal(host) if literal else _plain_host(host)
    if not literal and (len(host) > 253 or not _HOST.fullmatch(host)):
        raise AddressNotAllowed("has no valid host")
    shown = f"[{host}]" if ":" in host else host
    tail = (slash + path).rstrip("/")
    return NormalisedUrl(
        url=f"{scheme}://{shown}{'' if port is None else f':{port}'}{tail}",
        scheme=scheme,
        host=host,
        port=_PORTS[scheme] if port is None else port,
        literal=literal,
    )


def _split_port(authority: str) -> tuple[str, int | None]:
    bracketed = authority.startswith("[")
    host, closing, rest = authority.partition("]") if bracketed else authority.partition(":")
    if bracketed:
        host, closing, rest = host + closing, rest[:1], rest[1:]
    if not closing:
        return host, None
    if closing != ":" or not _PORT.fullmatch(rest) or not 0 < int(rest) <= 65535:
        raise AddressNotAllowed("has no valid port")
    return host, int(rest)


def _plain_host(host: str) -> str:
    return host.lower().removesuffix(".")


def _is_numeric(host: str) -> bool:
    return _NUMERIC_LABEL.fullmatch(_plain_host(host).rpartition(".")[2]) is not None


def _literal(host: str) -> str:
    """The address in its one spelling. IPv6 zones are refused: they name this machine's interfaces."""
    try:
        if host.startswith("["):
            if not host.endswith("]") or "%" in host:
                raise ValueError
            return str(ipaddress.IPv6Address(host[1:-1]))
        return str(ipaddress.IPv4Address(_plain_host(host)))
    except ValueError:
        raise AddressNotAllowed("has no valid address") from None


def _parse_entry(text: str) -> _Entry:
    fault = ValueError("an allow-list entry is neither a host, an address nor a CIDR, with an optional port")
    inner, port = text, None
    if text.startswith("[") or text.count(":") == 1:
        try:
            inner, port = _split_port(text)
        except AddressNotAllowed:
            raise fault from None
        inner = inner.removeprefix("[").removesuffix("]")
    try:
        return _Entry(None, ipaddress.ip_network(inner, strict=False), port)
    except ValueError:
        host = _plain_host(inner)
    if not _HOST.fullmatch(host) or _is_numeric(host):
        raise fault
    return _Entry(host, None, port)
