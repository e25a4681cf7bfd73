"""`~/.rune`: who this machine's command line is, and what it has rented (jobs-api.md 15)."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

from rune.local.instance_book import Booked, InstanceBook
from rune_common.domain.errors import Misconfigured
from rune_common.domain.labels import DEPLOYMENT_ID


class UserFolder:
    """Nothing is made before it is needed."""

    def __init__(self, home: Path) -> None:
        self.path = home / ".rune"
        self.book = InstanceBook(self.path / "instances.jsonl")

    @property
    def rented_before(self) -> bool:
        return (self.path / "instances.jsonl").exists()

    def deployment_id(self) -> str:
        """`cli-<random>`, made once: the name in the labels of what is rented here. Raises Misconfigured."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.path / "deployment_id"
        draft = path.with_name(f".deployment_id.{secrets.token_hex(4)}")
        if not path.exists():
            draft.write_text(f"cli-{secrets.token_hex(8)}\n")
            try:
                os.link(draft, path)  # of two processes at once one is first
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        found = path.read_text().strip()
        if not DEPLOYMENT_ID.fullmatch(found):
            raise Misconfigured("~/.rune/deployment_id is damaged: it must match [a-z0-9-]{8,32}")
        return found

    def session(self) -> Session:
        return Session(self.path / "sessions")

    def alive(self, session: str) -> bool:
        """Whether the process that has this session still runs."""
        path = self.path / "sessions" / session
        try:
            file = path.open()
        except OSError:
            return False
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
            path.unlink(missing_ok=True)
            return False

    def leftovers(self, now_ms: int) -> list[Booked]:
        """What processes that are gone have left behind without a lease that runs."""
        if not self.rented_before:
            return []
        return [each for each in self.book.open() if not each.kept(now_ms) and not self.alive(each.session)]


class Session:
    """A file that is locked as long as its process lives, whatever ends it."""

    def __init__(self, folder: Path) -> None:
        self.name = secrets.token_hex(8)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = folder / self.name
        self._file = self._path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._path.unlink(missing_ok=True)
        self._file.close()
