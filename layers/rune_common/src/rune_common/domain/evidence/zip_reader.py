"""Reads a zip as a bundle's: what the writer would not have written is found, and reading goes on.

Nothing is unpacked and no size is believed, so a hostile file costs no more than its own length.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from rune_common.domain.evidence import zip_format as form
from rune_common.domain.evidence.spool import CHUNK_BYTES
from rune_common.domain.evidence.zip_format import Entry

MAX_DIRECTORY_BYTES = 64 * 1024 * 1024


class BundleUnreadable(ValueError):
    """Not a zip, or so damaged that no file can be found in it."""


@dataclass(slots=True)
class ZipContents:
    """`entries` by name. `damaged`: names whose headers are wrong; `disordered`: the whole is not in order."""

    file: BinaryIO
    entries: dict[str, Entry] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    aliases: set[str] = field(default_factory=set)
    disordered: bool = False

    def chunks(self, name: str) -> Iterator[bytes]:
        entry = self.entries[name]
        for at in range(entry.data_offset, entry.end, CHUNK_BYTES):
            self.file.seek(at)
            yield self.file.read(min(CHUNK_BYTES, entry.end - at))

    def read(self, name: str, limit: int) -> bytes | None:
        """The whole file; None without it or beyond `limit` bytes."""
        if name not in self.entries or self.entries[name].size > limit:
            return None
        return b"".join(self.chunks(name))


def read_zip(file: BinaryIO) -> ZipContents:
    """Raises BundleUnreadable."""
    size = file.seek(0, 2)
    found = ZipContents(file)
    directory = _directory(file, size)
    if directory is None:
        found.disordered = True
        listed = list(_walk(file, size))
        start = listed[-1].end if listed else 0
    else:
        listed, start = directory
    if not listed:
        raise BundleUnreadable("this is not a bundle: no file can be found in it")
    entries = _settled(found, listed, start)
    # Offsets follow from the sizes, so this one comparison covers gaps, order and all of the directory.
    tail = _at(file, start, max(0, min(size - start, MAX_DIRECTORY_BYTES)))
    sound = not found.damaged and len(found.entries) == len(entries)
    names = [entry.encoded for entry in entries]
    if names != sorted(names) or _offsets(entries, start) or (sound and tail != form.directory(entries)):
        found.disordered = True
    return found


def _settled(found: ZipContents, listed: list[Entry], start: int) -> list[Entry]:
    """The entries as they most likely are; what does not fit is noted."""
    entries: list[Entry] = []
    for number, entry in enumerate(listed):
        following = listed[number + 1].offset if number + 1 < len(listed) else start
        settled = _settle(found, entry, entries[-1].end if entries else 0, following)
        if settled.name in found.entries:
            found.damaged.add(settled.name)
        else:
            found.entries[settled.name] = settled
        entries.append(settled)
    return entries


def _settle(found: ZipContents, listed: Entry, after: int, following: int) -> Entry:
    for offset in dict.fromkeys((listed.offset, after)):
        entry = Entry(listed.name, listed.size, listed.crc32, offset)
        expected = form.local_header(entry)
        if _at(found.file, offset, len(expected)) == expected:
            if offset != listed.offset:
                found.damaged.add(entry.name)
            return entry
        local = _local(found.file, offset)
        if local is not None and local.end == following:
            # The two headers of one file differ and this one fits its place: the directory's is the wrong one.
            found.damaged.add(local.name)
            found.aliases.add(listed.name)
            return local
    found.damaged.add(listed.name)
    local = _local(found.file, listed.offset)
    if local is not None:
        found.aliases.add(local.name)
    return listed


def _offsets(entries: list[Entry], start: int) -> bool:
    """Whether something lies between the entries or before the directory."""
    ends = [0, *(entry.end for entry in entries)]
    return [entry.offset for entry in entries] != ends[:-1] or ends[-1] != start


def _directory(file: BinaryIO, size: int) -> tuple[list[Entry], int] | None:
    """The entries that the central directory lists, and where it begins; None if it cannot be read."""
    try:
        end = form.END.unpack(_at(file, size - form.END.size, form.END.size))
        if end[0] != form.END_SIGNATURE:
            return None
        count, length, start, stop = end[4], end[5], end[6], size - form.END.size
        if count == form.MAX_16 or form.MAX_32 in (length, start):
            wide_at = stop - form.ZIP64_LOCATOR.size - form.ZIP64_END.size
            wide = form.ZIP64_END.unpack(_at(file, wide_at, form.ZIP64_END.size))
            count, length, start, stop = wide[7], wide[8], wide[9], wide_at
        # Where it ends is sure; where it begins is what the record says.
        if length > MAX_DIRECTORY_BYTES or start + length != stop:
            return None
        return _records(_at(file, start, length), count), start
    except (struct.error, ValueError, OverflowError):
        return None


def _records(data: bytes, count: int) -> list[Entry]:
    entries, at = [], 0
    while at < len(data):
        fields = form.CENTRAL.unpack_from(data, at)
        if fields[0] != form.CENTRAL_SIGNATURE:
            raise ValueError("no record of the central directory")
        crc32, size, offset = fields[7], fields[9], fields[16]
        name_length, extra_length, comment_length = fields[10], fields[11], fields[12]
        at += form.CENTRAL.size
        name = data[at : at + name_length]
        wide = [each[0] for each in struct.iter_unpack("<Q", _wide(data, at + name_length, extra_length))]
        if size == form.MAX_32 and wide:
            size = wide[0]
        if offset == form.MAX_32 and wide:
            offset = wide[-1]
        at += name_length + extra_length + comment_length
        entries.append(Entry(name.decode("utf-8", "replace"), size, crc32, offset))
    if len(entries) != count or at != len(data):
        raise ValueError("the central directory has another length")
    return entries


def _wide(data: bytes, at: int, length: int) -> bytes:
    """The numbers of a Zip64 extra field."""
    if length < 12 or struct.unpack_from("<H", data, at)[0] != form.ZIP64_EXTRA:
        return b""
    return data[at + 4 : at + 4 + (length - 4) // 8 * 8]


def _walk(file: BinaryIO, size: int) -> Iterator[Entry]:
    """The entries as they follow each other, without the directory's help."""
    entry = _local(file, 0)
    while entry is not None and entry.end <= size:
        yield entry
        entry = _local(file, entry.end)


def _local(file: BinaryIO, offset: int) -> Entry | None:
    """The entry whose canonical local header is there."""
    head = _at(file, offset, form.LOCAL.size)
    if len(head) < form.LOCAL.size:
        return None
    fields = form.LOCAL.unpack(head)
    if fields[0] != form.LOCAL_SIGNATURE:
        return None
    name_length, extra_length = fields[9], fields[10]
    rest = _at(file, offset + form.LOCAL.size, name_length + extra_length)
    size = fields[7]
    if size == form.MAX_32 and extra_length == 20 and len(rest) == name_length + extra_length:
        size = struct.unpack_from("<Q", rest, name_length + 4)[0]
    try:
        entry = Entry(rest[:name_length].decode(), size, fields[6], offset)
    except UnicodeDecodeError:
        return None
    return entry if form.local_header(entry) == head + rest else None


def _at(file: BinaryIO, offset: int, length: int) -> bytes:
    if offset < 0:
        return b""
    file.seek(offset)
    return file.read(length)
