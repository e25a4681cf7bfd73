"""Artifacts: the files that belong to a run (jobs-api.md 10)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

MAX_ARTIFACT_BYTES = 100 * 1024 * 1024
MAX_NAME_CHARACTERS = 120

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
BYTES = "application/octet-stream"

MEDIA_TYPES: dict[str, str] = {
    "slsa_provenance": JSON,
    "sbom": JSON,
    "run_evidence": JSON,
    "log": TEXT,
    "report": TEXT,
    "patch": TEXT,
    "screenshot": "image/png",
    "sigstore_bundle": BYTES,
    "tpm_attestation": BYTES,
    "other": BYTES,
    "rekor_entry": JSON,
    "tla_report": TEXT,
}
"""Every kind of artifact, and as what its bytes are sent."""

DRIVER_KINDS = frozenset({"log", "report", "patch", "screenshot", "other"})
"""What an agent's driver may call a file of its own; evidence is written by this product only."""

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of a run as its index knows it; the bytes are a blob under its id.

    `created_at` in epoch ms; 0 until the event that it enters the index with has its time.
    """

    artifact_id: str
    kind: str
    name: str
    size_bytes: int
    sha256: str
    created_at: int = 0

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES.get(self.kind, BYTES)


def make_artifact(kind: str, name: str, content: bytes, *, now_ms: int) -> Artifact:
    """The index entry of these bytes. The same file has the same id, whoever adds it and however often."""
    return known_artifact(kind, name, len(content), hashlib.sha256(content).hexdigest(), now_ms=now_ms)


def known_artifact(kind: str, name: str, size_bytes: int, sha256: str, *, now_ms: int) -> Artifact:
    """The index entry of bytes that are known by their size and digest."""
    identity = hashlib.sha256(f"{kind}\0{name}\0{sha256}".encode()).hexdigest()
    return Artifact(f"a_{identity[:24]}", kind, name, size_bytes, sha256, now_ms)


def plain_name(name: str) -> str:
    """A file name that is nothing but a name, whatever a driver called it."""
    last = re.split(r"[/\\]", name)[-1]
    return _NOT_IN_A_NAME.sub("_", last).strip("._")[:MAX_NAME_CHARACTERS] or "artifact"


def oldest_first(artifacts: list[Artifact]) -> list[Artifact]:
    return sorted(artifacts, key=lambda each: (each.created_at, each.name, each.artifact_id))
