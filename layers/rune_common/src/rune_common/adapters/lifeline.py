"""Ends a process group with this process, however this one goes (runs-api.md 2.3, holmes-driver.md 2.7)."""

from __future__ import annotations

import subprocess

_SCRIPT = 'read -r _; kill -s KILL -- "-$1"'
"""Its standard input closes when this process is gone."""


class Lifeline:
    def __init__(self, group: int) -> None:
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "rune-lifeline", str(group)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def let_go(self) -> None:
        """The group has ended by itself."""
        self._watcher.kill()
        self._watcher.wait()
        assert self._watcher.stdin is not None
        self._watcher.stdin.close()
