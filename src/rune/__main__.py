"""`python -m rune` and `rune`: the command line on this process's streams, environment and signals."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rune.cli.entry import run
from rune.cli.failures import Terminated
from rune.cli.surroundings import Surroundings


def _terminate(_number: int, _frame: object) -> None:
    raise Terminated


def main(arguments: Sequence[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        # An answer may hold characters that this terminal cannot show; it must still be printed.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _terminate)
    surroundings = Surroundings(
        environ=os.environ,
        working_directory=Path.cwd(),
        home=Path.home(),
        stdout=sys.stdout,
        stderr=sys.stderr,
        sleep=time.sleep,
        monotonic=time.monotonic,
        stdin=sys.stdin,
    )
    return run(sys.argv[1:] if arguments is None else arguments, surroundings)


if __name__ == "__main__":
    raise SystemExit(main())
