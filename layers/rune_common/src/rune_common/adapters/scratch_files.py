"""Temporary files that nobody needs after a piece of work: small ones stay in memory."""

from __future__ import annotations

import contextlib
import tempfile
from types import TracebackType
from typing import BinaryIO, Self, cast

IN_MEMORY_BYTES = 256 * 1024


class ScratchFiles:
    """Opens files without names and closes all of them together."""

    def __init__(self) -> None:
        self._files = contextlib.ExitStack()

    def __call__(self) -> BinaryIO:
        return cast(
            BinaryIO, self._files.enter_context(tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES))
        )

    def close(self) -> None:
        self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
