"""The bytes of a bundle's zip, all of them determined by names, sizes and checksums (runs-api.md 7.2).

Stored entries, time 1980-01-01 00:00:00, mode 0644, creator Unix, no extra fields, comments or data
descriptors; Zip64 only where a number does not fit (APPNOTE.TXT 6.3.10).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

LOCAL_SIGNATURE = 0x04034B50
CENTRAL_SIGNATURE = 0x02014B50
END_SIGNATURE = 0x06054B50
ZIP64_END_SIGNATURE = 0x06064B50
ZIP64_LOCATOR_SIGNATURE = 0x07064B50

LOCAL = struct.Struct("<IHHHHHIIIHH")
CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
END = struct.Struct("<IHHHHIIH")
ZIP64_END = struct.Struct("<IQHHIIQQQQ")
ZIP64_LOCATOR = struct.Struct("<IIQI")

VERSION = 20
ZIP64_VERSION = 45
UNIX = 3 << 8
UTF8_NAME = 0x800
MIDNIGHT, FIRST_OF_1980 = 0, 0x21
REGULAR_0644 = 0o100644 << 16
ZIP64_EXTRA = 0x0001
MAX_32 = 0xFFFFFFFF
MAX_16 = 0xFFFF


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored file: `offset` is where its local header begins."""

    name: str
    size: int
    crc32: int
    offset: int

    @property
    def encoded(self) -> bytes:
        return self.name.encode()

    @property
    def flags(self) -> int:
        return 0 if self.name.isascii() else UTF8_NAME

    @property
    def large(self) -> bool:
        return self.size >= MAX_32

    @property
    def data_offset(self) -> int:
        return self.offset + len(local_header(self))

    @property
    def end(self) -> int:
        return self.data_offset + self.size


def local_header(entry: Entry) -> bytes:
    extra = struct.pack("<HHQQ", ZIP64_EXTRA, 16, entry.size, entry.size) if entry.large else b""
    size = MAX_32 if entry.large else entry.size
    version = ZIP64_VERSION if entry.large else VERSION
    fields = (version, entry.flags, 0, MIDNIGHT, FIRST_OF_1980, entry.crc32, size, size)
    name = entry.encoded
    return LOCAL.pack(LOCAL_SIGNATURE, *fields, len(name), len(extra)) + name + extra


def central_record(entry: Entry) -> bytes:
    far = entry.offset >= MAX_32
    wide = [entry.size, entry.size] if entry.large else []
    wide += [entry.offset] if far else []
    extra = struct.pack(f"<HH{len(wide)}Q", ZIP64_EXTRA, 8 * len(wide), *wide) if wide else b""
    size = MAX_32 if entry.large else entry.size
    version = ZIP64_VERSION if wide else VERSION
    fields = (UNIX | version, version, entry.flags, 0, MIDNIGHT, FIRST_OF_1980, entry.crc32, size, size)
    name = entry.encoded
    tail = (len(name), len(extra), 0, 0, 0, REGULAR_0644, MAX_32 if far else entry.offset)
    return CENTRAL.pack(CENTRAL_SIGNATURE, *fields, *tail) + name + extra


def end_records(count: int, directory_offset: int, directory_size: int) -> bytes:
    """What follows the central directory."""
    wide = count >= MAX_16 or directory_offset >= MAX_32 or directory_size >= MAX_32
    before = b""
    if wide:
        before = ZIP64_END.pack(
            ZIP64_END_SIGNATURE, ZIP64_END.size - 12, UNIX | ZIP64_VERSION, ZIP64_VERSION, 0, 0,
            count, count, directory_size, directory_offset,
        )  # fmt: skip
        end = directory_offset + directory_size
        before += ZIP64_LOCATOR.pack(ZIP64_LOCATOR_SIGNATURE, 0, end, 1)
    few = min(count, MAX_16)
    size, offset = min(directory_size, MAX_32), min(directory_offset, MAX_32)
    return before + END.pack(END_SIGNATURE, 0, 0, few, few, size, offset, 0)


def directory(entries: Sequence[Entry]) -> bytes:
    """Everything after the last entry's bytes."""
    start = entries[-1].end if entries else 0
    records = b"".join(map(central_record, entries))
    return records + end_records(len(entries), start, len(records))
