"""Redaction of output that arrives in chunks (runs-api.md 3.4, 16)."""

from __future__ import annotations

from rune_common.domain.redaction import Redactor


class RedactionStream:
    """Feed chunks, then close once: the joined output is what `Redactor.raw` gives for the joined input.

    Holds back at most 16 KiB: only what may be the beginning of a secret.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._scanners = redactor.scanners()
        self._closed = False

    def feed(self, data: bytes) -> bytes:
        """What is decided so far. Raises ValueError after `close`."""
        if self._closed:
            raise ValueError("the stream is closed")
        for scanner in self._scanners:
            data = scanner.feed(data)
        return data

    def close(self) -> bytes:
        """The rest. Closing again gives nothing."""
        if self._closed:
            return b""
        self._closed = True
        rest = b""
        for scanner in self._scanners:
            rest = scanner.feed(rest) + scanner.close()
        return rest

    @property
    def counts(self) -> dict[str, int]:
        """How often each rule has matched so far."""
        found: dict[str, int] = {}
        for scanner in self._scanners:
            if scanner.count:
                found[scanner.rule] = found.get(scanner.rule, 0) + scanner.count
        return found

    @property
    def held(self) -> int:
        """Bytes that are held back."""
        return sum(scanner.held for scanner in self._scanners)
