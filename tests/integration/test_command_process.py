"""Shell commands as real processes (runs-api.md 2.3)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from rune_common.adapters.command_process import CommandProcess, ProcessRunner
from rune_common.domain.commands import CommandStart

PATIENCE_SECONDS = 30.0


def started(folder: Path, run: str) -> CommandProcess:
    environment = {"PATH": os.environ["PATH"]}
    return ProcessRunner().start(CommandStart(("/bin/sh", "-c", run), environment, folder))


def followed(process: CommandProcess) -> tuple[int, dict[str, bytes]]:
    found = {"stdout": b"", "stderr": b""}
    while (code := process.exit_code) is None:
        piece = process.read(0.05)
        if piece is not None:
            found[piece.stream] += piece.data
    return code, found


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def group_of(pid: int) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == pid and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def test_both_streams_and_the_exit_code_come_through(tmp_path: Path) -> None:
    code, found = followed(started(tmp_path, "printf out; printf err >&2; exit 3"))
    assert (code, found) == (3, {"stdout": b"out", "stderr": b"err"})


def test_a_command_has_no_input_and_starts_in_its_folder(tmp_path: Path) -> None:
    code, found = followed(started(tmp_path, "cat; pwd"))
    assert (code, found["stdout"]) == (0, f"{tmp_path}\n".encode())


def test_all_output_comes_even_when_its_reader_is_slow(tmp_path: Path) -> None:
    process = started(tmp_path, "head -c 5000000 /dev/zero; echo end >&2")
    time.sleep(0.3)
    code, found = followed(process)
    assert (code, len(found["stdout"]), found["stderr"]) == (0, 5_000_000, b"end\n")


def test_what_is_left_of_the_group_ends_with_its_leader(tmp_path: Path) -> None:
    code, found = followed(started(tmp_path, "sleep 600 & echo $$"))
    assert code == 0
    eventually(lambda: not group_of(int(found["stdout"])))


def test_what_left_the_group_does_not_hold_up_the_end(tmp_path: Path) -> None:
    code, found = followed(started(tmp_path, "setsid sh -c 'echo $$; exec sleep 600' & sleep 0.3; exit 4"))
    os.kill(int(found["stdout"]), 9)
    assert code == 4


def test_stopping_gives_time_to_end(tmp_path: Path) -> None:
    process = started(tmp_path, "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done")
    assert process.read(PATIENCE_SECONDS) is not None
    process.stop(PATIENCE_SECONDS)
    code, found = followed(process)
    assert (code, found["stdout"]) == (5, b"bye\n")


def test_what_does_not_listen_is_killed_after_its_grace(tmp_path: Path) -> None:
    process = started(tmp_path, "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    assert process.read(PATIENCE_SECONDS) is not None
    process.stop(PATIENCE_SECONDS)
    process.stop(0)
    assert followed(process)[0] == 137


def test_a_program_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ProcessRunner().start(CommandStart(("no-such-program",), {"PATH": "/bin"}, tmp_path))


def test_a_command_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from rune_common.adapters.command_process import ProcessRunner\n"
        "from rune_common.domain.commands import CommandStart\n"
        "start = CommandStart(('/bin/sh', '-c', 'echo $$; sleep 600'), {'PATH': '/bin:/usr/bin'}, Path(sys.argv[1]))\n"
        "process = ProcessRunner().start(start)\n"
        "print(process.read(30).data.decode(), end='', flush=True)\nsys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    group = int(parent.stdout.readline())
    assert group_of(group)
    parent.kill()
    parent.wait()
    eventually(lambda: not group_of(group))
    for pipe in (parent.stdin, parent.stdout):
        assert pipe is not None
        pipe.close()
