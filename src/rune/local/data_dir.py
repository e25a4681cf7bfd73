"""The folder that holds a local stack's state: database, blobs, keys, and who it is."""

from __future__ import annotations

import fcntl
import secrets
from pathlib import Path
from typing import IO

from rune_common.domain.errors import Misconfigured


class DataDir:
    """`RUNE_DATA_DIR`, private to the user (0700)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def database(self) -> Path:
        return self.path / "rune.db"

    def lock(self) -> IO[str]:
        """Hold the folder for one server, until the returned file is closed. Raises Misconfigured."""
        file = (self.path / "lock").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            file.close()
            raise Misconfigured("another server uses this RUNE_DATA_DIR") from exc
        return file

    def deployment_id(self) -> str:
        """The name under which this stack's runs and rentals are known; made once."""
        path = self.path / "deployment_id"
        if not path.exists():
            path.write_text(f"local-{secrets.token_hex(8)}\n")
        return path.read_text().strip()
