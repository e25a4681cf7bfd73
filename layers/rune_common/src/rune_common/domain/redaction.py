"""Removing secrets before anything is stored or sent (runs-api.md 3.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rune_common.domain.redaction_rules import RULESET_VERSION, TEXT_RULES, KnownValue
from rune_common.domain.redaction_scanner import MARKER, Scanner, marker

__all__ = ["RULESET_VERSION", "Redaction", "Redactor"]

KNOWN_VALUE_MIN = 8
KNOWN_VALUE_LIMIT = 1024
"""Bytes of a known value that are looked for as one; a longer value is looked for in parts."""

_SECRET_MEMBERS = frozenset(
    (
        *("authorization", "proxy_authorization", "cookie", "set_cookie", "x_api_key", "api_key", "apikey"),
        *(
            "secret",
            "client_secret",
            "password",
            "passwd",
            "token",
            "access_token",
            "refresh_token",
            "id_token",
        ),
        *("private_key", "kubeconfig", "ticket"),
    )
)
_SECRET_ENDINGS = ("_secret", "_password", "_token")
_SECRET_MEMBER = "secret_member"
_SHORTEST_TOKEN = 20  # no rule matches a shorter text that is one identifier


@dataclass(frozen=True, slots=True)
class Redaction:
    """What one rule replaced at one place. `pointer` is a JSON Pointer into the value, "" for all of it."""

    pointer: str
    rule: str
    count: int


@dataclass(frozen=True, slots=True)
class Redactor:
    """Ruleset `1`. `known_values` are literal secrets that the worker was given; shorter than 8 are ignored.

    Redacting twice changes nothing. Time is linear in the input.
    """

    known_values: Iterable[str] = field(default=(), repr=False)
    _known: tuple[bytes, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        values = tuple(dict.fromkeys(self.known_values))
        object.__setattr__(self, "known_values", values)
        pieces = dict.fromkeys(piece for value in values for piece in _pieces(value))
        object.__setattr__(self, "_known", tuple(pieces))

    def text(self, text: str) -> tuple[str, list[Redaction]]:
        """Redact a text; the redactions have the pointer ""."""
        found: list[Redaction] = []
        return self._text(text, "", found), found

    def value(self, value: Any) -> tuple[Any, list[Redaction]]:
        """Redact a JSON value: its texts, its member names, and all that a secret member holds.

        The value itself is not changed. Shape, numbers and digests are kept; null and empty texts, too,
        since they hold nothing. Two names that become equal are told apart by a suffix `#2`.
        """
        found: list[Redaction] = []
        return self._value(value, "", found), found

    def raw(self, data: bytes) -> tuple[bytes, dict[str, int]]:
        """Redact bytes, valid UTF-8 or not; also returns how often each rule matched."""
        counts: dict[str, int] = {}
        data = _apply_text_rules(data, counts)
        if any(value in data for value in self._known):
            before = len(counts)
            data = _apply(KnownValue(self._known), data, counts)
            if len(counts) > before:
                # What a known value stood next to may be a secret of its own now.
                data = _apply_text_rules(data, counts)
        return data, counts

    def scanners(self) -> list[Scanner]:
        """Fresh scanners that, in a row, do to a stream what `raw` does to the whole."""
        first: list[Scanner] = [rule() for rule in TEXT_RULES]
        return [*first, KnownValue(self._known), *(rule() for rule in TEXT_RULES)] if self._known else first

    def _text(self, text: str, pointer: str, found: list[Redaction]) -> str:
        data, counts = self.raw(text.encode("utf-8", "surrogatepass"))
        if not counts:
            return text
        found.extend(Redaction(pointer, rule, count) for rule, count in counts.items())
        return data.decode("utf-8", "surrogatepass")

    def _value(self, value: Any, pointer: str, found: list[Redaction]) -> Any:
        if isinstance(value, str):
            return self._text(value, pointer, found)
        if isinstance(value, dict):
            return self._members(value, pointer, found)
        if isinstance(value, (list, tuple)):
            return [self._value(item, f"{pointer}/{index}", found) for index, item in enumerate(value)]
        return value

    def _members(self, value: dict[str, Any], pointer: str, found: list[Redaction]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for name, member in value.items():
            names: list[Redaction] = []
            shown = name if self._plain(name) else self._text(name, "", names)
            if shown != name:
                shown = _distinct(shown, value, result)
            place = f"{pointer}/{shown.replace('~', '~0').replace('/', '~1')}"
            found.extend(Redaction(place, entry.rule, entry.count) for entry in names)
            if _is_secret(name) and not _is_blank_or_marker(member):
                result[shown] = marker(_SECRET_MEMBER)
                found.append(Redaction(place, _SECRET_MEMBER, 1))
            else:
                result[shown] = self._value(member, place, found)
        return result

    def _plain(self, name: str) -> bool:
        """True if no rule can match in this name; spares nearly all of them the rules."""
        return len(name) < _SHORTEST_TOKEN and name.isascii() and name.isidentifier() and not self._known


def _is_secret(name: str) -> bool:
    plain = name.lower().replace("-", "_")
    return plain in _SECRET_MEMBERS or plain.endswith(_SECRET_ENDINGS)


def _is_blank_or_marker(member: Any) -> bool:
    if isinstance(member, str):
        return not member or (member.isascii() and MARKER.fullmatch(member.encode()) is not None)
    return member is None


def _distinct(name: str, *taken: dict[str, Any]) -> str:
    found, number = name, 1
    while any(found in names for names in taken):
        number += 1
        found = f"{name}#{number}"
    return found


def _pieces(value: str) -> Iterable[bytes]:
    """A known value's bytes in parts of nearly equal length, cut between characters.

    A value with a marker in it is no secret but the trace of one; a part of white space alone says nothing.
    """
    size = len(value.encode("utf-8", "surrogatepass"))
    if len(value) < KNOWN_VALUE_MIN or "[REDACTED:" in value or value.isspace():
        return
    parts = -(-size // (KNOWN_VALUE_LIMIT // 2)) if size > KNOWN_VALUE_LIMIT else 1
    step = -(-len(value) // parts)
    for at in range(0, len(value), step):
        piece = value[at : at + step] if len(value) - at >= step else value[-step:]
        if not piece.isspace():
            yield piece.encode("utf-8", "surrogatepass")


def _apply_text_rules(data: bytes, counts: dict[str, int]) -> bytes:
    lowered = data.lower()
    for rule in TEXT_RULES:
        for trigger in rule.triggers:
            if trigger in lowered:
                after = _apply(rule(), data, counts)
                if after is not data:
                    data, lowered = after, after.lower()
                break
    return data


def _apply(scanner: Scanner, data: bytes, counts: dict[str, int]) -> bytes:
    after = scanner.feed(data) + scanner.close()
    if not scanner.count:
        return data
    counts[scanner.rule] = counts.get(scanner.rule, 0) + scanner.count
    return after
