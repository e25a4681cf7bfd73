"""Which kubectl the agent gets."""

from __future__ import annotations

import shutil
from pathlib import Path


def find_kubectl(configured: str, path: str) -> str | None:
    """The configured one, else the first on PATH.

    The Google Cloud SDK's kubectl is a dispatcher that contacts the cluster to choose a version before it
    runs the command; a plain binary lies beside it as `kubectl.<version>`, and the newest of them is taken.
    """
    found = shutil.which(configured or "kubectl", path=path)
    if found is None:
        return None
    beside = sorted(Path(found).resolve().parent.glob("kubectl.1.*"), key=lambda each: _version(each.name))
    return str(beside[-1]) if beside and not configured else found


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.removeprefix("kubectl.").split(".") if part.isdigit())
