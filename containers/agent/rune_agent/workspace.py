"""The child's private folder and its environment, built from nothing (holmes-driver.md 1.3, 1.4, 1.6)."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

IMAGE_GUARD = Path("/opt/rune/bin/kubectl")
PREFIX, LOCK = "rune-agent-", ".lock"
ABANDONED_SECONDS = 60.0
"""A younger folder may belong to a supervisor that is about to lock it."""
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"

FIXED = {
    "LANG": "C.UTF-8",
    "NO_COLOR": "1",
    "LOG_LEVEL": "ERROR",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_COST_MAP_REFRESH_INTERVAL_SECONDS": "999999999",
    "ROBUSTA_AI": "false",
    "ENABLE_TELEMETRY": "false",
    "ENABLE_CONVERSATION_WORKER": "false",
    "ENABLED_SCHEDULED_PROMPTS": "false",
    "MODEL_LIST_FILE_LOCATION": "/nonexistent",
    # Its storage would add prefixes such as `cat <dir>` to the commands that need no approval.
    "HOLMES_TOOL_RESULT_STORAGE_ENABLED": "false",
}


@dataclass(frozen=True, slots=True)
class Workspace:
    """
    A fresh folder of mode 0700; use as a context manager, which removes it at the end. `lock` is held as
    long as its owner lives, so that folders of killed supervisors can be told and are removed by the next.
    """

    root: Path
    lock: int

    @classmethod
    def create(cls, temporary: str | None) -> Workspace:
        remove_abandoned(Path(temporary or tempfile.gettempdir()))
        root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=temporary))
        lock = os.open(root / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        for folder in ("bin", "tmp", ".holmes"):
            (root / folder).mkdir(mode=0o700)
        return cls(root, lock)

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        os.close(self.lock)

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def tool_path(self) -> str:
        first = IMAGE_GUARD.parent if IMAGE_GUARD.exists() else self.root / "bin"
        return f"{first}:{SYSTEM_PATH}"

    def write_kubeconfig(self, text: str) -> None:
        descriptor = os.open(self.kubeconfig, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)

    def install_guard(self, python: str, kubectl: str, mode: str) -> None:
        """
        Put the guard in kubectl's place, unless the image has it already. The real binary and the mode
        are written into it: an environment variable could be set by the command line that it judges.
        """
        if IMAGE_GUARD.exists():
            return
        source = (Path(__file__).parent / "kubectl_guard.py").read_text(encoding="utf-8")
        first, _, rest = source.partition("\n")
        assert first.startswith("#!")
        for line, value in (
            ('REAL_KUBECTL = "/opt/rune/libexec/kubectl"', f"REAL_KUBECTL = {kubectl!r}"),
            ("MODE: str | None = None", f"MODE = {mode!r}"),
        ):
            assert rest.count(line) == 1
            rest = rest.replace(line, value)
        guard = self.root / "bin" / "kubectl"
        guard.write_text(f"#!{python} -IS\n{rest}", encoding="utf-8")
        guard.chmod(0o700)

    def environment(self, ollama_base: str | None, kubectl_mode: str = "read") -> dict[str, str]:
        """Everything the child knows from its environment. No key, no token, no AWS variable."""
        environment = {
            "PATH": self.tool_path,
            "HOME": str(self.root),
            "TMPDIR": str(self.root / "tmp"),
            "HOLMES_CONFIGPATH_DIR": str(self.root / ".holmes"),
            "KUBECONFIG": str(self.kubeconfig),
            **FIXED,
        }
        if ollama_base:
            # The library asks there for the model's size, whatever base URL a call has.
            environment["OLLAMA_API_BASE"] = ollama_base
        if kubectl_mode != "read":
            environment["RUNE_KUBECTL_MODE"] = kubectl_mode
        return environment


def remove_abandoned(temporary: Path) -> None:
    """Remove folders whose owner was killed: they hold a kubeconfig."""
    for folder in temporary.glob(f"{PREFIX}*"):
        try:
            if time.time() - folder.stat().st_mtime < ABANDONED_SECONDS:
                continue
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
        except OSError:
            continue  # another user's, or no folder of ours
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            pass  # its owner lives
        finally:
            os.close(lock)
