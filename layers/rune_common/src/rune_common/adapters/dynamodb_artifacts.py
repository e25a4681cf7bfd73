"""A run's index of artifacts as table items, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_client import Write
from rune_common.domain.artifacts import Artifact


def artifact_write(tenant: str, run_id: str, artifact: Artifact) -> Write:
    """An update rather than a put: an artifact that is there already keeps the time at which it came."""
    return Write(
        "update",
        key=keys.artifact_key(tenant, run_id, artifact.artifact_id),
        change=(
            "SET kind = :kind, file_name = :file_name, size_bytes = :size, sha256 = :sha256, "
            "created_at = if_not_exists(created_at, :now)"
        ),
        values={
            ":kind": artifact.kind,
            ":file_name": artifact.name,
            ":size": artifact.size_bytes,
            ":sha256": artifact.sha256,
            ":now": artifact.created_at,
        },
    )


def artifact_from(item: Mapping[str, Any]) -> Artifact:
    return Artifact(
        artifact_id=item["sk"].removeprefix("ART#"),
        kind=item["kind"],
        name=item["file_name"],
        size_bytes=int(item["size_bytes"]),
        sha256=item["sha256"],
        created_at=int(item["created_at"]),
    )
