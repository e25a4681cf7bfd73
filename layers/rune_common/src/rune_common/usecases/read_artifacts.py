"""A run's artifacts: which there are, and their bytes (jobs-api.md 10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rune_common.domain.access import Principal
from rune_common.domain.artifacts import Artifact
from rune_common.domain.errors import ArtifactNotFound, AuditNotFound, RunNotFound
from rune_common.domain.payloads import artifact_key
from rune_common.domain.ports import BlobStore, RunStore
from rune_common.domain.runs import Run
from rune_common.usecases.read_job import find_job


@dataclass(frozen=True, slots=True)
class Download:
    """An artifact and exactly the bytes that its digest is of."""

    artifact: Artifact
    content: bytes


def list_artifacts(run_id: str, caller: Principal, *, runs: RunStore) -> Sequence[Artifact]:
    """Oldest first. Raises AuditNotFound."""
    run = _run(run_id, caller, runs)
    return runs.artifacts(run.tenant, run.run_id)


def download_artifact(
    run_id: str, artifact_id: str, caller: Principal, *, runs: RunStore, blobs: BlobStore
) -> Download:
    """Raises AuditNotFound, ArtifactNotFound, BlobNotFound."""
    run = _run(run_id, caller, runs)
    found = runs.artifact(run.tenant, run.run_id, artifact_id)
    if found is None:
        raise ArtifactNotFound(artifact_id)
    return Download(found, blobs.get(artifact_key(run.tenant, run.run_id, artifact_id)))


def _run(run_id: str, caller: Principal, runs: RunStore) -> Run:
    try:
        return find_job(run_id, caller, runs=runs)
    except RunNotFound:
        raise AuditNotFound(run_id) from None
