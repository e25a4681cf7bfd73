"""Evidence from a server into a file (runs-api.md 7.1)."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

from rune.cli.client import BAD_ANSWER, JobsClient
from rune.cli.failures import CliFailure, UsageProblem

_SUFFIXES = {"zip": ".zip", "json": ".json", "dsse": ".dsse.json"}


def save_evidence(
    client: JobsClient,
    run_id: str,
    folder: Path,
    output: Path | None,
    *,
    form: str,
    **query: str | int | None,
) -> dict[str, Any]:
    """Download, check against the digest that the server named, and put in place at once.

    Without `output` the file is called as the server calls it.

    Raises CliFailure; then no file is left.
    """
    found = client.evidence(run_id, format=form, **query)
    try:
        download, sequence = found["download"], found["at_sequence"]
        url, sha256 = str(download["url"]), str(download["sha256"])
    except (KeyError, TypeError) as exc:
        raise CliFailure(BAD_ANSWER, code="bad_answer") from exc
    path = folder / (output or f"rune-{run_id}-{sequence}{_SUFFIXES[form]}")
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                client.download(url, file)
                file.flush()
                if _sha256(Path(file.name)) != sha256:
                    raise CliFailure("the download is not what the server announced", code="download_failed")
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as exc:
        raise UsageProblem(f"{path} cannot be written: {exc.strerror}") from exc
    return {
        "run_id": run_id,
        "at_sequence": sequence,
        "path": str(path),
        "bytes": path.stat().st_size,
        "sha256": sha256,
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
