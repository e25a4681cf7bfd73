"""Ruleset `1`: what counts as a secret in text, in the order of the table in runs-api.md 3.4.

Rules see UTF-8 bytes. Character classes are ASCII; every byte of a longer character is "something else", so
no match ever cuts a character. Where a rule has a bound, a candidate that passes it is redacted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rune_common.domain.redaction_scanner import (
    MARKER,
    MARKER_BEGINS,
    MARKER_MAX,
    Scanner,
    beginnings,
    marker,
)
from rune_common.domain.redaction_tokens import ApiKey, AwsAccessKey, GitHubToken, Jwt, PemPrivateKey

RULESET_VERSION = "1"

URL_LIMIT = 1024
"""Bytes after `scheme://user:` in which the `@` is waited for; a longer candidate is redacted."""

_BLANKS = re.compile(rb"[ \t]*")
_LINE = re.compile(rb"[^\r\n]*")
_NON_SPACE = re.compile(rb"\S*")


class AuthHeader(Scanner):
    rule = "auth_header"
    triggers = (b"authorization:", b"bearer", b"basic")
    _head = re.compile(rb"((?i:authorization):)|(?:[Bb]earer|Basic)[ \t]")
    _begins = re.compile(
        beginnings([b"[aA][uU][tT][hH][oO][rR][iI][zZ][aA][tT][iI][oO][nN]"]).pattern
        + b"|"
        + beginnings([b"[Bb]earer", b"Basic"]).pattern
    )
    _least = re.compile(rb"(?:(?!" + MARKER.pattern + rb")\S){8}")

    def _search(self) -> bool:
        match = self._find(self._head, self._begins, 16)
        if match is None:
            return False
        self._pass_until(match.end())
        self._state = self._line if match[1] else self._credentials
        return True

    def _line(self) -> bool:
        if not self._pass_run(_BLANKS):
            return False
        end = self._marker_end()
        if end is None or (end == len(self._data) and not self._closing):
            return False
        if self._data[end : end + 1] in (b"", b"\r", b"\n"):
            # Nothing there, or nothing but a marker.
            self._pass_until(end)
            self._state = self._search
            return True
        self._mark(end)
        self._state = lambda: self._drop(_LINE)
        return True

    def _credentials(self) -> bool:
        end = self._marker_end()
        if end is None:
            return False
        if end > self._at:
            self._pass_until(end)
            return True
        # 8 bytes and, where a marker begins among them, all of that marker.
        window = self._data[self._at : self._at + 64]
        if len(window) < 64 and not self._closing and not re.search(rb"\s", window):
            return False
        match = self._least.match(self._data, self._at)
        if match is None:
            self._state = self._search
            return True
        self._mark(match.end())
        self._state = lambda: self._drop(_NON_SPACE)
        return True


class UrlPassword(Scanner):
    rule = "url_password"
    triggers = (b"://",)
    _head = re.compile(rb"(?<=[A-Za-z0-9+.-])://")
    _begins = re.compile(rb"(?<=[A-Za-z0-9+.-]):/?\Z")
    _user = re.compile(rb"""[^\s/@:\[\]?#"'<>\\]*""")
    _authority = re.compile(rb"""[^\s/?#"'<>\\]*""")
    # The next rule may have replaced a part of what looked like a password: then it is none.
    _taken = marker("secret_assignment").encode()

    def _search(self) -> bool:
        match = self._find(self._head, self._begins, 2)
        if match is None:
            return False
        self._pass_until(match.end())
        self._state = self._user_name
        return True

    def _user_name(self) -> bool:
        if not self._pass_run(self._user):
            return False
        self._state = self._search
        if self._data[self._at : self._at + 1] == b":":
            self._pass_until(self._at + 1)
            self._seen = 0
            self._state = self._password
        return True

    def _password(self) -> bool:
        match = self._authority.match(self._data, self._at + self._seen)
        end = match.end() if match else len(self._data)
        self._seen = end - self._at
        over = self._seen > URL_LIMIT
        decided = end < len(self._data) or self._closing or self._seen > URL_LIMIT + len(self._taken)
        if not decided:
            return False
        self._state = self._search
        last = self._data.rfind(b"@", self._at, end)
        if self._data.find(self._taken, self._at, min(end, self._at + URL_LIMIT + len(self._taken))) >= 0:
            return True
        own = MARKER.match(self._data, self._at)
        if own and self._data[own.end() : own.end() + 1] == b"@":
            return True
        if over:
            self._mark(end)
            self._state = lambda: self._drop(self._authority)
        elif last > self._at:
            self._mark(last)
        return True


class SecretAssignment(Scanner):
    rule = "secret_assignment"
    triggers = (
        *(b"password", b"passwd", b"secret", b"token", b"apikey", b"api_key", b"api-key"),
        *(b"access_key", b"access-key", b"private_key", b"private-key"),
    )
    _names = (b"password", b"passwd", b"secret", b"token", b"apikey", b"api[_-]key", b"access[_-]key")
    _head = re.compile(
        b"(?i:" + b"|".join((*_names, b"private[_-]key")) + rb""")(?=[ \t"'\\:=])""",
    )
    _begins = re.compile(b"(?i:" + beginnings((*_names, b"private[_-]key")).pattern + b")")
    # A quote inside quoted text is written with a backslash.
    _gap = re.compile(rb"""(?:[ \t"']|\\["'])*""")
    _separator = re.compile(rb"=>|:=|::|==|[:=]")
    _value = re.compile(rb"""(?:[^\s"',;\\]+|\\(?!["']))*""")

    def _search(self) -> bool:
        match = self._find(self._head, self._begins, 12)
        if match is None:
            return False
        self._pass_until(match.end())
        self._state = self._after_name
        return True

    def _undecided(self, at: int) -> bool:
        """True if the byte at `at` is missing, or is a backslash whose next byte is."""
        return not self._closing and self._data[at : at + 2] in (b"", b"\\")

    def _after_name(self) -> bool:
        self._pass_run(self._gap)
        if self._undecided(self._at):
            return False
        if self._data[self._at :] in (b"=", b":") and not self._closing:
            return False
        match = self._separator.match(self._data, self._at)
        if match:
            self._pass_until(match.end())
        self._state = self._before_value if match else self._search
        return True

    def _before_value(self) -> bool:
        self._pass_run(self._gap)
        if self._undecided(self._at):
            return False
        end = self._marker_end()
        if end is None or self._undecided(end):
            return False
        if self._value_end(end) == end:
            # No value, or nothing but a marker.
            self._pass_until(end)
            self._state = self._search
            return True
        self._mark(end)
        self._state = self._drop_value
        return True

    def _drop_value(self) -> bool:
        self._at = self._value_end(self._at)
        if self._undecided(self._at):
            return False
        self._state = self._search
        return True

    def _value_end(self, at: int) -> int:
        match = self._value.match(self._data, at)
        end = match.end() if match else at
        # A backslash at the very end may belong to a quote that is yet to come.
        undecided = end == len(self._data) and end > at and not self._closing and self._data[-1:] == b"\\"
        return end - 1 if undecided else end


class KnownValue(Scanner):
    """Literal values. Markers are stepped over, so that a value found inside one does no harm."""

    rule = "known_value"
    triggers = ()

    def __init__(self, values: Sequence[bytes]) -> None:
        super().__init__()
        self._values = values
        longest_first = sorted(values, key=len, reverse=True)
        self._head = re.compile(b"(" + MARKER.pattern + b")|" + b"|".join(map(re.escape, longest_first)))

    def _search(self) -> bool:
        limit = len(self._data) if self._closing else self._first_beginning()
        match = self._head.search(self._data, self._at)
        if match is None or match.start() >= limit:
            self._pass_until(limit)
            return False
        self._pass_until(match.start())
        if match[1]:
            self._pass_until(match.end())
        else:
            self._mark(match.end())
        return True

    def _first_beginning(self) -> int:
        """The first place where a value or a marker begins that is not complete yet."""
        data, end = self._data, len(self._data)
        marks = MARKER_BEGINS.search(data, max(self._at, end - MARKER_MAX))
        first = marks.start() if marks else end
        for value in self._values:
            at = data.find(value[:1], max(self._at, end - len(value) + 1), first)
            while at >= 0:
                if value.startswith(data[at:]):
                    first = at
                    break
                at = data.find(value[:1], at + 1, first)
        return first


TEXT_RULES: tuple[type[Scanner], ...] = (
    *(GitHubToken, ApiKey, AwsAccessKey, Jwt, PemPrivateKey, AuthHeader, UrlPassword, SecretAssignment),
)
"""The rules that need nothing but the text, in order. `known_value` comes after them."""
