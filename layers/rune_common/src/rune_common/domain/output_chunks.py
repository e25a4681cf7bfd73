"""How a step's output becomes chunks of the log (runs-api.md 5.4)."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

MAX_CHUNK_BYTES = 8_192
MAX_ESCAPED_BYTES = 24 * 1024
_LONGEST_CODE_POINT = 4


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a stream as the log has it. `encoding` is `utf8` or `base64`; `size_bytes` of what `data` means."""

    encoding: str
    data: str
    size_bytes: int


class Chunker:
    """Cuts one stream into chunks of at most 8 192 bytes, none of which ends inside a code point.

    The joined bytes of all chunks are the bytes that were fed.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    @property
    def held(self) -> int:
        return len(self._held)

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that are full."""
        self._held += data
        found = []
        while len(self._held) >= MAX_CHUNK_BYTES:
            found.append(self._take(_whole(bytes(self._held[:MAX_CHUNK_BYTES]))))
        return found

    def flush(self) -> list[Chunk]:
        """What there is now, except a code point that has only begun."""
        size = _whole(bytes(self._held))
        return [self._take(size)] if size else []

    def close(self) -> list[Chunk]:
        """The rest, whatever it is."""
        found = self.flush()
        return [*found, self._take(len(self._held))] if self._held else found

    def _take(self, size: int) -> Chunk:
        data = bytes(self._held[:size])
        del self._held[:size]
        return as_chunk(data)


def as_chunk(data: bytes) -> Chunk:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = None
    if text is None or escaped_size(text) > MAX_ESCAPED_BYTES:
        return Chunk("base64", base64.b64encode(data).decode(), len(data))
    return Chunk("utf8", text, len(data))


def escaped_size(text: str) -> int:
    """Bytes of a text inside JSON."""
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")) - 2


def _whole(data: bytes) -> int:
    """How many of these bytes are there without a code point at their end that more bytes could complete."""
    for back in range(1, min(_LONGEST_CODE_POINT, len(data) + 1)):
        byte = data[-back]
        if byte & 0b1100_0000 == 0b1000_0000:
            continue
        needed = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return len(data) - back if byte < 0xF8 and needed > back else len(data)
    return len(data)
