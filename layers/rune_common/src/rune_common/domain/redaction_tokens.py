"""Rules of ruleset `1` that know a secret by its own shape: the first five rows of runs-api.md 3.4."""

from __future__ import annotations

import re

from rune_common.domain.redaction_scanner import Scanner, beginnings

JWT_LIMIT = 5120
"""Bytes of header and payload up to which a JWT is waited for; a longer candidate is redacted."""

_NOT_AFTER_ALNUM = rb"(?<![A-Za-z0-9])"
_ALNUM = re.compile(rb"[A-Za-z0-9]*")
_WORD = re.compile(rb"[A-Za-z0-9_]*")
_DASHED = re.compile(rb"[A-Za-z0-9-]*")
_DASHED_WORD = re.compile(rb"[A-Za-z0-9_-]*")
_DOTTED_WORD = re.compile(rb"[A-Za-z0-9_.-]*")


class _Shape:
    """A token: a prefix and at least `least` characters of a class; all that follow in `rest` go with it."""

    def __init__(self, prefix: bytes, kind: bytes, least: int, rest: re.Pattern[bytes]) -> None:
        self.rest = rest
        self.pattern = b"(%b%b{%d})" % (prefix, kind, least)
        self.begins = beginnings([prefix], b"%b{0,%d}" % (kind, least - 1), before=_NOT_AFTER_ALNUM).pattern


class _TokenRule(Scanner):
    shapes: tuple[_Shape, ...]
    head: re.Pattern[bytes]
    begins: re.Pattern[bytes]

    def __init_subclass__(cls) -> None:
        cls.head = re.compile(
            _NOT_AFTER_ALNUM + b"(?:" + b"|".join(shape.pattern for shape in cls.shapes) + b")"
        )
        cls.begins = re.compile(b"|".join(shape.begins for shape in cls.shapes))

    def _search(self) -> bool:
        match = self._find(self.head, self.begins, 48)
        if match is None:
            return False
        rest = self.shapes[(match.lastindex or 1) - 1].rest
        self._mark(match.end())
        self._state = lambda: self._drop(rest)
        return True


class GitHubToken(_TokenRule):
    rule = "github_token"
    triggers = (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_")
    shapes = (
        _Shape(b"gh[pousr]_", b"[A-Za-z0-9]", 20, _ALNUM),
        _Shape(b"github_pat_", b"[A-Za-z0-9_]", 22, _WORD),
    )


class ApiKey(_TokenRule):
    rule = "api_key"
    triggers = (b"sk-", b"aiza", b"xox")
    shapes = (
        _Shape(b"sk-", b"[A-Za-z0-9_-]", 20, _DASHED_WORD),
        _Shape(b"AIza", b"[A-Za-z0-9_-]", 35, _DASHED_WORD),
        _Shape(b"xox[abeoprs]-", b"[A-Za-z0-9-]", 10, _DASHED),
    )


class AwsAccessKey(_TokenRule):
    rule = "aws_access_key"
    triggers = (b"akia", b"asia")
    shapes = (_Shape(b"A[KS]IA", b"[A-Z0-9]", 16, _ALNUM),)


class Jwt(Scanner):
    rule = "jwt"
    triggers = (b"eyj",)
    _head = re.compile(_NOT_AFTER_ALNUM + b"eyJ")
    _begins = beginnings([b"ey"], before=_NOT_AFTER_ALNUM)

    def _search(self) -> bool:
        if self._find(self._head, self._begins, 3) is None:
            return False
        self._seen, self._parts = 3, 1
        self._state = self._part
        return True

    def _part(self) -> bool:
        match = _DASHED_WORD.match(self._data, self._at + self._seen)
        end = match.end() if match else len(self._data)
        self._seen = end - self._at
        if self._seen > JWT_LIMIT:
            self._mark(end)
            self._state = lambda: self._drop(_DOTTED_WORD)
            return True
        following = self._data[end : end + 4]
        if self._parts == 2 and following[:1] == b".":
            self._mark(end + 1)
            self._state = lambda: self._drop(_DASHED_WORD)
            return True
        if self._parts == 1 and following == b".eyJ":
            self._seen, self._parts = self._seen + 4, 2
            return True
        undecided = b".eyJ".startswith(following) if self._parts == 1 else not following
        if undecided and not self._closing:
            return False
        # Every other candidate inside ends where this one ended, so none of them matches.
        self._pass_until(end)
        self._state = self._search
        return True


class PemPrivateKey(Scanner):
    rule = "pem_private_key"
    triggers = (b"private key",)
    _head = re.compile(rb"-----BEGIN ([A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)")
    _begins = beginnings([b"-----BEGIN "], rb"[A-Z0-9 ]{0,64}-{0,5}")

    def _search(self) -> bool:
        match = self._find(self._head, self._begins, 96)
        if match is None:
            return False
        self._end_line = b"-----END " + match[1]
        self._mark(match.end())
        self._state = self._body
        return True

    def _body(self) -> bool:
        found = self._data.find(self._end_line, self._at)
        if found >= 0:
            self._at = found + len(self._end_line)
            self._state = self._search
            return True
        kept = 0 if self._closing else len(self._end_line) - 1
        self._at = max(self._at, len(self._data) - kept)
        return False
