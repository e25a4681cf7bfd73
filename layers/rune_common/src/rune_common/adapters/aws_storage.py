"""S3 for blobs and KMS envelopes for sealed values. boto3, built at the first call."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from rune_common.domain.errors import BlobNotFound, Unavailable

NONCE_BYTES = 12
LENGTH_BYTES = 2
CHUNK_BYTES = 1024 * 1024


class S3BlobStore:
    """Blobs in one bucket, encrypted by the bucket's key."""

    def __init__(self, bucket: str, client: Callable[[], Any]) -> None:
        self._bucket, self._client = bucket, client

    def put(self, key: str, content: bytes) -> None:
        aws_call(self._client().put_object, Bucket=self._bucket, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        found = aws_call(self._client().get_object, Bucket=self._bucket, Key=key)
        content: bytes = found["Body"].read()
        return content

    def delete(self, key: str) -> None:
        aws_call(self._client().delete_object, Bucket=self._bucket, Key=key)

    def put_new(self, key: str, content: bytes) -> bool:
        try:
            aws_call(self._client().put_object, Bucket=self._bucket, Key=key, Body=content, IfNoneMatch="*")
        except BlobExists:
            return False
        return True

    def put_file(self, key: str, file: BinaryIO) -> None:
        file.seek(0)
        aws_call(self._client().upload_fileobj, Fileobj=_KeptOpen(file), Bucket=self._bucket, Key=key)

    def chunks(self, key: str) -> Iterator[bytes]:
        found = aws_call(self._client().get_object, Bucket=self._bucket, Key=key)
        parts: Iterator[bytes] = found["Body"].iter_chunks(CHUNK_BYTES)
        return parts

    def link(self, key: str, *, seconds: int, filename: str) -> str | None:
        parameters = {
            "Bucket": self._bucket,
            "Key": key,
            "ResponseContentDisposition": f'attachment; filename="{filename}"',
        }
        url: str = aws_call(
            self._client().generate_presigned_url,
            ClientMethod="get_object",
            Params=parameters,
            ExpiresIn=seconds,
        )
        return url


class BlobExists(Exception):
    """Somebody else stored a blob under the key first."""


class _KeptOpen(io.RawIOBase):
    """A file whose reader may close it: the transfer does, its owner still needs it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


class KmsSealer:
    """AES-256-GCM under a data key of its own; the encrypted data key goes before nonce and ciphertext."""

    def __init__(self, key_id: str, client: Callable[[], Any]) -> None:
        self._key_id, self._client = key_id, client

    def seal(self, plain: bytes, context: str) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        made = aws_call(
            self._client().generate_data_key,
            KeyId=self._key_id,
            KeySpec="AES_256",
            EncryptionContext={"rune": context},
        )
        wrapped, nonce = made["CiphertextBlob"], os.urandom(NONCE_BYTES)
        cipher = AESGCM(made["Plaintext"]).encrypt(nonce, plain, context.encode())
        return len(wrapped).to_bytes(LENGTH_BYTES, "big") + bytes(wrapped) + nonce + cipher

    def open(self, sealed: bytes, context: str) -> bytes:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        end = LENGTH_BYTES + int.from_bytes(sealed[:LENGTH_BYTES], "big")
        wrapped, nonce, cipher = (
            sealed[LENGTH_BYTES:end],
            sealed[end : end + NONCE_BYTES],
            sealed[end + NONCE_BYTES :],
        )
        key = aws_call(
            self._client().decrypt,
            KeyId=self._key_id,
            CiphertextBlob=wrapped,
            EncryptionContext={"rune": context},
        )
        try:
            return AESGCM(key["Plaintext"]).decrypt(nonce, cipher, context.encode())
        except InvalidTag as exc:
            raise ValueError("the sealed value does not belong here") from exc


def aws_call(operation: Callable[..., Any], **arguments: Any) -> Any:
    """Call an operation of boto3 by its arguments' names. Raises BlobNotFound, Unavailable, ValueError."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return operation(**arguments)
    except ClientError as exc:
        code = exc.response["Error"]["Code"]
        if code in ("PreconditionFailed", "ConditionalRequestConflict"):
            raise BlobExists from exc
        if code in ("NoSuchKey", "404"):
            raise BlobNotFound("no such blob") from exc
        if code == "InvalidCiphertextException":
            raise ValueError("the sealed value does not belong here") from exc
        raise Unavailable("storage refused a call") from exc
    except (BotoCoreError, Boto3Error) as exc:
        raise Unavailable("storage does not answer") from exc
