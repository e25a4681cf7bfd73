"""Files that an operator provides: on this machine, or in the stack's bucket."""

from __future__ import annotations

from pathlib import Path

from rune_common.domain.errors import BlobNotFound
from rune_common.domain.ports import BlobStore


class OperatorFiles:
    """Reads `s3://<bucket>/<key>` from the blob store, if it is its bucket, and all else as a path."""

    def __init__(self, bucket: str, blobs: BlobStore) -> None:
        self._place = f"s3://{bucket}/"
        self._blobs = blobs

    def text(self, address: str) -> str:
        """Raises OSError, ValueError for what is no text, and Unavailable."""
        if not address.startswith("s3://"):
            return Path(address).read_text(encoding="utf-8")
        if not address.startswith(self._place):
            raise FileNotFoundError("not in the stack's bucket")
        try:
            return self._blobs.get(address.removeprefix(self._place)).decode()
        except BlobNotFound as exc:
            raise FileNotFoundError("no such object in the stack's bucket") from exc
