"""The output of a command on its way into the log and into files (runs-api.md 3.4, 5.4)."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from rune_common.domain.events import EventDraft
from rune_common.domain.output_chunks import Chunk, Chunker, as_chunk
from rune_common.domain.redaction import Redaction, Redactor
from rune_common.domain.redaction_stream import RedactionStream

STREAMS = ("stdout", "stderr")
MAX_LOGGED_BYTES = 8 * 1024 * 1024
MAX_STREAM_BYTES = 100 * 1024 * 1024
MAX_CHUNKS = 90_000
"""Of a run's 100 000 events; the rest is for what else happens."""

FLUSH_SECONDS = 0.2
LOG_ENDS = b"The rest of the output is in the log artifacts only.\n"


class RedactionFailed(Exception):
    """Nothing of a stream may be stored: it could not be redacted."""


@dataclass(slots=True)
class StreamOutput:
    """One stream, redacted: its file, its digest, and where its log is. `size_bytes` of the file."""

    name: str
    redaction: RedactionStream
    file: BinaryIO
    chunker: Chunker = field(default_factory=Chunker)
    digest: Any = field(default_factory=hashlib.sha256)
    size_bytes: int = 0
    logged: int = 0
    counted: dict[str, int] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        found: str = self.digest.hexdigest()
        return found

    def keep(self, data: bytes, most: int) -> bytes:
        """Add redacted bytes to the file; what was taken of them."""
        taken = data[: max(0, most - self.size_bytes)]
        self.file.write(taken)
        self.digest.update(taken)
        self.size_bytes += len(taken)
        return taken

    def new_redactions(self) -> tuple[Redaction, ...]:
        """What was removed since they were asked for last."""
        counts = self.redaction.counts
        found = tuple(
            Redaction("/data", rule, count - self.counted.get(rule, 0))
            for rule, count in sorted(counts.items())
            if count > self.counted.get(rule, 0)
        )
        self.counted = counts
        return found


class CommandOutput:
    """Turns what a command prints into drafts of `terminal_output`, and into one file a stream.

    `first_seq` is the number of the first chunk. Raises RedactionFailed.
    """

    def __init__(
        self,
        step_id: str,
        redactor: Redactor,
        folder: Path,
        *,
        first_seq: int = 1,
        clock: Callable[[], float],
        max_logged: int = MAX_LOGGED_BYTES,
        max_stream: int = MAX_STREAM_BYTES,
    ) -> None:
        self._step_id, self._clock = step_id, clock
        self._max_logged, self._max_stream = max_logged, max_stream
        self._open = ExitStack()
        self.streams = {
            name: StreamOutput(name, RedactionStream(redactor), self._file(folder)) for name in STREAMS
        }
        self.last_seq = first_seq - 1
        self._logged = 0
        self._full = False
        self._since: float | None = None
        self._drafts: list[EventDraft] = []

    @property
    def due(self) -> bool:
        """Whether something has waited long enough to be written."""
        return self._since is not None and self._clock() - self._since >= FLUSH_SECONDS

    @property
    def waiting(self) -> int:
        """Chunks that are full and not taken."""
        return len(self._drafts)

    def feed(self, stream: str, data: bytes) -> None:
        found = self.streams[stream]
        try:
            redacted = found.redaction.feed(data)
        except Exception as exc:
            raise RedactionFailed from exc
        self._add(found, redacted)
        if self._since is None and (self._drafts or found.chunker.held):
            self._since = self._clock()

    def take(self) -> list[EventDraft]:
        """Everything that can be written now."""
        for stream in self.streams.values():
            self._log(stream, stream.chunker.flush())
        return self._taken()

    def close(self) -> list[EventDraft]:
        """The rest."""
        for stream in self.streams.values():
            try:
                rest = stream.redaction.close()
            except Exception as exc:
                raise RedactionFailed from exc
            self._add(stream, rest)
            self._log(stream, stream.chunker.close())
        return self._taken()

    def digests(self) -> dict[str, Any]:
        """The members of `step_completed` that tell of the streams."""
        found: dict[str, Any] = {}
        for stream in self.streams.values():
            found[f"{stream.name}_bytes"] = stream.size_bytes
            found[f"{stream.name}_sha256"] = stream.sha256
        return found

    def files(self) -> Iterator[tuple[StreamOutput, BinaryIO]]:
        for stream in self.streams.values():
            stream.file.flush()
            stream.file.seek(0)
            yield stream, stream.file

    def discard(self) -> None:
        self._open.close()

    def _file(self, folder: Path) -> BinaryIO:
        """A file without a name, which the command cannot find."""
        return cast(BinaryIO, self._open.enter_context(tempfile.TemporaryFile(dir=folder)))

    def _taken(self) -> list[EventDraft]:
        drafts, self._drafts, self._since = self._drafts, [], None
        return drafts

    def _add(self, stream: StreamOutput, redacted: bytes) -> None:
        taken = stream.keep(redacted, self._max_stream)
        if not self._full:
            self._log(stream, stream.chunker.feed(taken))

    def _log(self, stream: StreamOutput, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            if self._full:
                return
            if self._logged + chunk.size_bytes > self._max_logged or self.last_seq >= MAX_CHUNKS:
                self._full = True
                self._draft("system", as_chunk(LOG_ENDS), 0, ())
                return
            self._draft(stream.name, chunk, stream.logged, stream.new_redactions())
            stream.logged += chunk.size_bytes
            self._logged += chunk.size_bytes

    def _draft(self, name: str, chunk: Chunk, offset: int, redactions: tuple[Redaction, ...]) -> None:
        self.last_seq += 1
        payload = {
            "summary": f"{name} of {self._step_id}",
            "terminal_seq": self.last_seq,
            "stream": name,
            "step_id": self._step_id,
            "encoding": chunk.encoding,
            "data": chunk.data,
            "offset": offset,
            "bytes": chunk.size_bytes,
        }
        self._drafts.append(
            EventDraft(
                "terminal_output", payload, step_id=self._step_id, redactions=redactions, redacted=True
            )
        )
