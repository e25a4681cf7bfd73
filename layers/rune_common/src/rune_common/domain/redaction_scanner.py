"""How one redaction rule reads a stream of bytes; the rules themselves are in redaction_rules
and redaction_tokens.

A scanner decides at a position only when it has seen all the bytes that the decision can depend on, so the
joined output is the same for every split of the input, and rules in a row keep that property.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import ClassVar

MARKER = re.compile(rb"\[REDACTED:[a-z_]{1,32}\]")
MARKER_MAX = len(b"[REDACTED:]") + 32


def marker(rule: str) -> str:
    """What takes a secret's place (runs-api.md 3.4)."""
    return f"[REDACTED:{rule}]"


def beginnings(shapes: Iterable[bytes], tail: bytes = b"", *, before: bytes = b"") -> re.Pattern[bytes]:
    """A pattern for input that ends inside, or at the end of, one of the shapes.

    A shape is literal characters and character classes; `tail` matches what may follow a whole shape.
    """
    nested = []
    for shape in shapes:
        pattern = tail
        for atom in reversed(re.findall(rb"\[[^\]]*\]|\\.|.", shape)):
            pattern = atom + b"(?:" + pattern + b")?"
        nested.append(pattern)
    return re.compile(before + b"(?:" + b"|".join(nested) + rb")\Z")


MARKER_BEGINS = beginnings([rb"\[REDACTED:"], rb"[a-z_]{1,32}")


class Scanner:
    """One rule over one stream: `feed` chunks, then `close` once. `count` is how often it has matched.

    Subclasses move between states. A state looks at `_data` from `_at` on and returns False when it
    needs more input; `_closing` is true when there will be none.
    """

    rule: ClassVar[str]
    triggers: ClassVar[tuple[bytes, ...]]
    """Lower-case substrings, one of which the lower-cased input has wherever the rule matches."""

    def __init__(self) -> None:
        self.count = 0
        self._data = b""
        self._at = 0
        self._closing = False
        self._out: list[bytes] = []
        self._state: Callable[[], bool] = self._search

    def feed(self, data: bytes) -> bytes:
        self._data += data
        return self._run()

    def close(self) -> bytes:
        self._closing = True
        return self._run()

    @property
    def held(self) -> int:
        """Bytes that were fed and not yet decided."""
        return len(self._data) - self._at

    def _search(self) -> bool:
        raise NotImplementedError

    def _run(self) -> bytes:
        while self._state():
            pass
        found = b"".join(self._out)
        self._out.clear()
        if self._at > 1:
            # One byte stays as the left context of what follows.
            self._data, self._at = self._data[self._at - 1 :], 1
        return found

    def _find(
        self, head: re.Pattern[bytes], begins: re.Pattern[bytes], window: int
    ) -> re.Match[bytes] | None:
        """The next match of `head`, with everything before it passed on; None if more input is needed.

        `begins` matches where `head` may yet match when more input comes, at most `window` bytes before
        the end. A match after such a place must wait: the one that starts first wins.
        """
        end = len(self._data)
        undecided = None if self._closing else begins.search(self._data, max(self._at, end - window))
        limit = undecided.start() if undecided else end
        match = head.search(self._data, self._at)
        if match and match.start() < limit:
            self._pass_until(match.start())
            return match
        self._pass_until(limit)
        return None

    def _pass_until(self, end: int) -> None:
        if end > self._at:
            self._out.append(self._data[self._at : end])
            self._at = end

    def _pass_run(self, run: re.Pattern[bytes]) -> bool:
        """Pass a run of bytes on; False if it may go on in the next chunk."""
        match = run.match(self._data, self._at)
        self._pass_until(match.end() if match else self._at)
        return self._closing or self._at < len(self._data)

    def _mark(self, end: int) -> None:
        """Put the marker in the place of everything up to `end`."""
        self.count += 1
        self._out.append(marker(self.rule).encode())
        self._at = end

    def _drop(self, run: re.Pattern[bytes]) -> bool:
        """Drop a run of bytes, then search on."""
        match = run.match(self._data, self._at)
        self._at = match.end() if match else self._at
        if self._at < len(self._data) or self._closing:
            self._state = self._search
            return True
        return False

    def _marker_end(self) -> int | None:
        """Where a marker that starts here ends; `_at` if there is none; None if more input is needed."""
        match = MARKER.match(self._data, self._at)
        if match:
            return match.end()
        if not self._closing and MARKER_BEGINS.match(self._data, self._at):
            return None
        return self._at
