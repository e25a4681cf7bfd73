"""Private folders for agent legs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class TemporaryWorkspaces:
    """Folders of mode 0700 in the temporary directory, removed when the leg ends."""

    @contextmanager
    def open(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="rune-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
