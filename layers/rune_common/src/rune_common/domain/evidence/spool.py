"""Bytes on their way into a bundle: kept in a file of the caller's, measured while they are written."""

from __future__ import annotations

import hashlib
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

CHUNK_BYTES = 64 * 1024

Scratch = Callable[[], BinaryIO]
"""Opens an empty file for reading and writing, whose content nobody needs afterwards."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What is known of some bytes: their number, CRC-32 and SHA-256 as hex."""

    size: int
    crc32: int
    sha256: str


class Meter:
    """Measures bytes that pass."""

    def __init__(self) -> None:
        self._size, self._crc32, self._sha256 = 0, 0, hashlib.sha256()

    def add(self, data: bytes) -> None:
        self._size += len(data)
        self._crc32 = zlib.crc32(data, self._crc32)
        self._sha256.update(data)

    @property
    def digest(self) -> Digest:
        return Digest(self._size, self._crc32, self._sha256.hexdigest())


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a bundle. `chunks` gives its bytes, as often as it is asked."""

    name: str
    digest: Digest
    chunks: Callable[[], Iterable[bytes]]


def member(name: str, content: bytes) -> Member:
    """A file that is small enough to be held."""
    meter = Meter()
    meter.add(content)
    return Member(name, meter.digest, lambda: (content,))


class Spool:
    """Several streams in one file: a log of many steps would otherwise need a file for each."""

    def __init__(self, scratch: Scratch) -> None:
        self._file = scratch()
        self._end = 0
        self._at_end = True

    def stream(self) -> SpooledStream:
        return SpooledStream(self)

    def append(self, data: bytes) -> int:
        """Store bytes; where they begin."""
        start = self._end
        if not self._at_end:
            self._file.seek(start)
            self._at_end = True
        self._file.write(data)
        self._end += len(data)
        return start

    def read(self, start: int, size: int) -> bytes:
        self._at_end = False
        self._file.seek(start)
        return self._file.read(size)


class SpooledStream:
    """One stream of a spool: where its parts are, 16 bytes for each that is not adjacent to the one before."""

    def __init__(self, spool: Spool) -> None:
        self._spool, self._meter = spool, Meter()
        self._starts, self._sizes = array("Q"), array("Q")

    def add(self, data: bytes) -> None:
        self._meter.add(data)
        start = self._spool.append(data)
        if self._starts and self._starts[-1] + self._sizes[-1] == start:
            self._sizes[-1] += len(data)
        else:
            self._starts.append(start)
            self._sizes.append(len(data))

    @property
    def digest(self) -> Digest:
        return self._meter.digest

    def chunks(self) -> Iterator[bytes]:
        for start, size in zip(self._starts, self._sizes, strict=True):
            for at in range(start, start + size, CHUNK_BYTES):
                yield self._spool.read(at, min(CHUNK_BYTES, start + size - at))

    def member(self, name: str) -> Member:
        return Member(name, self.digest, self.chunks)
