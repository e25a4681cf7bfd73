"""Files that are made from the code: written, or compared so that they cannot drift."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path


def write_or_check(files: Mapping[Path, str], *, check: bool) -> int:
    """An exit code: with `check` 1 if a file differs from its content, and nothing is written."""
    stale = [path for path, content in files.items() if not path.exists() or path.read_text() != content]
    for path in stale:
        if check:
            print(f"{path.name} is out of date: run `make docs`", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path])
    return 1 if check and stale else 0
