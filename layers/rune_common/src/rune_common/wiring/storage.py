"""Blobs, sealing, keys, and AWS clients that are built at their first use."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rune_common.domain.evidence.keys import KeyRing
from rune_common.domain.ports import BlobStore, Sealer
from rune_common.settings import Settings
from rune_common.wiring.services import system_clock


def open_storage(settings: Settings) -> tuple[BlobStore, Sealer, bytes]:
    """Blobs, sealing, and the key that signs list cursors."""
    if settings.on_aws:
        from rune_common.adapters.aws_storage import KmsSealer, S3BlobStore

        s3, kms = boto_client("s3", settings), boto_client("kms", settings)
        key = settings.cursor_key.encode()
        return S3BlobStore(settings.blobs_bucket, s3), KmsSealer(settings.kms_key_id, kms), key
    from rune_common.adapters.files import FileBlobStore, KeyFileSealer, read_or_make_key

    folder = Path(settings.data_dir)
    keys = folder / "keys"
    return (
        FileBlobStore(folder / "blobs"),
        KeyFileSealer(keys / "requests.key"),
        read_or_make_key(keys / "cursors.key"),
    )


def open_evidence_keys(settings: Settings, blobs: BlobStore) -> KeyRing:
    """The key file of a local stack; on AWS the secret, for the functions that may read it."""
    from rune_common.adapters.evidence_keys import RecordedKeyRing, secret_seed
    from rune_common.adapters.files import read_or_make_key

    seed: Callable[[], bytes] | None = None
    if not settings.on_aws:
        path = Path(settings.data_dir) / "keys" / "evidence.key"
        seed = functools.partial(read_or_make_key, path)
    elif settings.evidence_key_secret:
        seed = secret_seed(settings.evidence_key_secret, boto_client("secretsmanager", settings))
    return RecordedKeyRing(settings.evidence_key_name, seed, blobs, system_clock)


def boto_client(service: str, settings: Settings) -> Callable[[], Any]:
    """A client that is built at its first use: loading boto3 costs more than most requests."""

    @functools.cache
    def build() -> Any:
        import boto3

        return boto3.client(service, region_name=settings.region)

    return build
