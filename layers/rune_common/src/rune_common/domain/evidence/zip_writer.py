"""Writes a bundle's zip front to back; nothing is ever gone back to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from rune_common.domain.evidence.spool import Member
from rune_common.domain.evidence.zip_format import Entry, directory, local_header


class Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...


def write_zip(members: Iterable[Member], out: Sink) -> int:
    """Write the members, sorted by the bytes of their names; the zip's size.

    Raises ValueError when a member's bytes are not those that were measured, or a name comes twice.
    """
    entries: list[Entry] = []
    offset = 0
    for member in sorted(members, key=lambda each: each.name.encode()):
        if entries and entries[-1].name == member.name:
            raise ValueError("a bundle has two files of one name")
        entry = Entry(member.name, member.digest.size, member.digest.crc32, offset)
        out.write(local_header(entry))
        written = 0
        for chunk in member.chunks():
            out.write(chunk)
            written += len(chunk)
        if written != entry.size:
            raise ValueError("a file changed while its bundle was written")
        entries.append(entry)
        offset = entry.end
    tail = directory(entries)
    out.write(tail)
    return offset + len(tail)
