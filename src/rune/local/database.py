"""The local table database: the DynamoDB API on one file, as a child process (design.md 8)."""

from __future__ import annotations

import logging
import os
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

from rune_common.domain.errors import Misconfigured

START_SECONDS = 15.0
STOP_SECONDS = 10.0
START_ATTEMPTS = 3
FILE_NAME = "tables.db"
LOG_NAME = "tables.log"

logger = logging.getLogger("rune.local.database")


STREAM_SECONDS = 24 * 3600
"""How long the service keeps a stream's records; the local database would keep them for ever."""

# For each record it writes, dynoxide looks for the highest sequence number of the table's stream, without an
# index: after 6,000 records a transaction took 12 ms instead of 1.
_STREAM_CARE = """
CREATE INDEX IF NOT EXISTS rune_stream_order
  ON _stream_records (table_name, CAST(sequence_number AS INTEGER));
DELETE FROM _stream_records WHERE created_at < strftime('%s', 'now') - {seconds}
  AND id NOT IN (SELECT MAX(id) FROM _stream_records GROUP BY table_name);
"""

# The database ends with this process, however this process ends: then the pipe that `cat` reads is closed.
# Job control is off in a script, so a background command's input is no terminal and no pipe of ours.
_GUARD = """
exec 3<&0
"$@" </dev/null 3<&- &
database=$!
{ cat <&3 >/dev/null; kill "$database" 2>/dev/null; } &
reader=$!
exec 3<&-
wait "$database"
status=$?
kill "$reader" 2>/dev/null
exit "$status"
"""


def find_binary(root: Path) -> Path | None:
    """The database that `npm ci` installed below `root` for this platform; None when there is none."""
    platform = {"linux": "linux", "darwin": "darwin"}.get(sys.platform, sys.platform)
    found = sorted(root.glob(f"node_modules/@dynoxide/{platform}-*/dynoxide"))
    return found[0] if found else None


class LocalDatabase:
    """Starts on entering, stops on leaving. Its file lies in `folder`; without one it lives in memory."""

    def __init__(self, binary: Path, folder: Path | None) -> None:
        self._binary = binary
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def endpoint(self) -> str:
        """`http://127.0.0.1:<port>`; the port is another one after each start."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Returns when the database answers. Raises Misconfigured when it does not start."""
        for _ in range(START_ATTEMPTS):
            # Another process may take the port in between; then the database ends and the next port is tried.
            self._port = _free_port()
            self._process = self._launch()
            if self._answers():
                self._care_for_streams()
                return
            self.stop()
        raise Misconfigured(f"the local database did not start; see {LOG_NAME} in its folder")

    def stop(self) -> None:
        """Returns when the database has ended; everything it acknowledged is in its file."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin
        process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self) -> subprocess.Popen[bytes]:
        command = [str(self._binary), "serve", "--host", "127.0.0.1", "--port", str(self._port)]
        log = Path(os.devnull)
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            command += ["--db-path", str(self._folder / FILE_NAME)]
            log = self._folder / LOG_NAME
        with log.open("ab") as output:
            # A session of its own: an interrupt at the terminal must not reach it before the last writes.
            return subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, "rune-database", *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _care_for_streams(self) -> None:
        if self._folder is None:
            return
        with closing(sqlite3.connect(self._folder / FILE_NAME, timeout=START_SECONDS)) as file:
            try:
                file.executescript(_STREAM_CARE.format(seconds=STREAM_SECONDS))
            except sqlite3.OperationalError:
                logger.warning("the local database's streams could not be indexed: writes will become slower")

    def _answers(self) -> bool:
        until = time.monotonic() + START_SECONDS
        while self.alive and time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return self.alive
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
