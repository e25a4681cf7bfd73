"""How an artifact is told in the log, in lists and in results (runs-api.md 3.2, jobs-api.md 4.8, 10)."""

from __future__ import annotations

from typing import Any

from rune_common.domain.artifacts import Artifact
from rune_common.domain.events import EventDraft


def artifact_added(artifact: Artifact) -> EventDraft:
    """The event of a new artifact; the index gets its entry in the same transaction."""
    payload = {
        "summary": f"artifact {artifact.name}",
        "artifact_id": artifact.artifact_id,
        "name": artifact.name,
        "kind": artifact.kind,
        "bytes": artifact.size_bytes,
        "sha256": artifact.sha256,
        "media_type": artifact.media_type,
    }
    return EventDraft("artifact_added", payload, artifacts=(artifact,))


def result_item(artifact: Artifact, run_id: str) -> dict[str, Any]:
    """An artifact in a job's result."""
    return {
        "artifact_id": artifact.artifact_id,
        "kind": artifact.kind,
        "name": artifact.name,
        "sha256": artifact.sha256,
        "size_bytes": artifact.size_bytes,
        "download_url": download_url("audits", run_id, artifact),
    }


def download_url(prefix: str, run_id: str, artifact: Artifact) -> str:
    """Where an artifact is downloaded; `prefix` is `audits` or `runs`, as the caller called."""
    return f"/v1/{prefix}/{run_id}/artifacts/{artifact.artifact_id}"
