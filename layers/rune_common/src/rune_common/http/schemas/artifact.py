"""Artifacts on the wire (jobs-api.md 10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self
from urllib.parse import quote

from fastapi import Response
from pydantic import BaseModel

from rune_common.domain.artifact_events import download_url
from rune_common.domain.artifacts import Artifact
from rune_common.usecases.read_artifacts import Download


class ArtifactView(BaseModel):
    """`created_at` in epoch seconds; `download_url` is relative to the server."""

    artifact_id: str
    kind: str
    name: str
    size_bytes: int
    sha256: str
    created_at: float
    download_url: str


class ArtifactSummary(BaseModel):
    total_count: int
    kinds_present: list[str]


class ArtifactListView(BaseModel):
    """Oldest first."""

    run_id: str
    artifacts: list[ArtifactView]
    summary: ArtifactSummary

    @classmethod
    def of(cls, artifacts: Sequence[Artifact], run_id: str, path: str) -> Self:
        """`path` is the one that was called: downloads have the same beginning."""
        prefix = path.split("/")[2]
        return cls(
            run_id=run_id,
            artifacts=[
                ArtifactView(
                    artifact_id=each.artifact_id,
                    kind=each.kind,
                    name=each.name,
                    size_bytes=each.size_bytes,
                    sha256=each.sha256,
                    created_at=each.created_at / 1000,
                    download_url=download_url(prefix, run_id, each),
                )
                for each in artifacts
            ],
            summary=ArtifactSummary(
                total_count=len(artifacts), kinds_present=sorted({each.kind for each in artifacts})
            ),
        )


def attachment(download: Download) -> Response:
    """The bytes, to be kept as a file: whatever is in them, no browser runs it."""
    artifact = download.artifact
    return Response(
        download.content,
        media_type=artifact.media_type,
        headers={
            "ETag": f'"{artifact.sha256}"',
            "Content-Disposition": _disposition(artifact.name),
            "Content-Security-Policy": "sandbox; default-src 'none'",
        },
    )


def _disposition(name: str) -> str:
    plain = "".join(char for char in name if char.isprintable() and char not in "\"'\\/;")
    ascii_name = plain.encode("ascii", "replace").decode().replace("?", "_") or "artifact"
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(plain or 'artifact', safe='')}"
