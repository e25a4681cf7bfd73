"""Private folders for agent legs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class TemporaryWorkspaces:
    """Folders of mode 0700, removed when the leg ends. `parent` empty: the temporary directory."""

    def __init__(self, parent: str = "") -> None:
        self._parent = parent or None

    @contextmanager
    def open(self) -> Iterator[Path]:
        if self._parent:
            Path(self._parent).mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix="rune-", dir=self._parent, ignore_cleanup_errors=True
        ) as folder:
            yield Path(folder)


def clear_workspaces(parent: str) -> None:
    """Remove what the legs of a killed process left behind; only for a parent that is this process's own."""
    if parent:
        shutil.rmtree(parent, ignore_errors=True)
