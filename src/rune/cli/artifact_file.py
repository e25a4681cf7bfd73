"""A job's file on this machine: chosen, downloaded, compared with its digest (jobs-api.md 10, 15)."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rune.cli.client import JobsClient
from rune.cli.failures import CliFailure

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")


def chosen_artifact(artifacts: Sequence[Mapping[str, Any]], wanted: str) -> dict[str, Any]:
    """The artifact with this id, else the only one with this name."""
    by_id = [each for each in artifacts if each.get("artifact_id") == wanted]
    found = by_id or [each for each in artifacts if each.get("name") == wanted]
    if len(found) != 1:
        problem = (
            "more than one artifact has this name; give its id" if found else "the job has no such artifact"
        )
        raise CliFailure(problem, code="not_found", hint="`jobs artifacts` lists them")
    return dict(found[0])


def save_artifact(
    client: JobsClient, job_id: str, artifact: Mapping[str, Any], output: Path | None, folder: Path
) -> Path:
    """Where it was put. Until its digest has been compared, it is there under another name."""
    path = folder / (output or _own_name(artifact))
    if path.is_dir():
        path = path / _own_name(artifact)
    unchecked = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    if path.exists():
        raise CliFailure(f"{path} exists already; --output names another place", code="file_exists")
    try:
        try:
            with unchecked.open("xb") as out:
                client.artifact(job_id, str(artifact.get("artifact_id")), out)
            if hashlib.sha256(unchecked.read_bytes()).hexdigest() != artifact.get("sha256"):
                raise CliFailure("what came does not have the artifact's digest", code="digest_mismatch")
            unchecked.rename(path)
        finally:
            unchecked.unlink(missing_ok=True)
    except OSError as exc:
        raise CliFailure(f"{path} could not be written: {exc.strerror}", code="file_not_written") from exc
    return path


def _own_name(artifact: Mapping[str, Any]) -> str:
    """A server's word for a file is no path on this machine."""
    name = str(artifact.get("name") or "")
    return name if _NAME.fullmatch(name) else "artifact"
