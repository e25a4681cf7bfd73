"""Server-sent events, read as they come (jobs-api.md 9.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """`event` is `end` when nothing more will come."""

    id: str
    event: str
    data: str


END = Frame("", "end", "{}")


def frames(chunks: Iterable[bytes]) -> Iterator[Frame]:
    """The frames of a stream. Comments, and frames without an event, only tell that it lives.

    Lines end with LF and nothing else: a text may hold what other readers take for the end of a line.
    """
    fields: dict[str, str] = {}
    for line in _lines(chunks):
        if line:
            name, _, value = line.decode(errors="replace").partition(":")
            fields[name] = value.removeprefix(" ")
        elif fields:
            if "data" in fields:
                yield Frame(fields.get("id", ""), fields.get("event", "message"), fields["data"])
            fields = {}


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
