"""S3 for blobs and KMS envelopes for sealed values. boto3, built at the first call."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from rune_common.domain.errors import BlobNotFound, Unavailable

NONCE_BYTES = 12
LENGTH_BYTES = 2


class S3BlobStore:
    """Blobs in one bucket, encrypted by the bucket's key."""

    def __init__(self, bucket: str, client: Callable[[], Any]) -> None:
        self._bucket, self._client = bucket, client

    def put(self, key: str, content: bytes) -> None:
        _call(self._client().put_object, Bucket=self._bucket, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        found = _call(self._client().get_object, Bucket=self._bucket, Key=key)
        content: bytes = found["Body"].read()
        return content

    def delete(self, key: str) -> None:
        _call(self._client().delete_object, Bucket=self._bucket, Key=key)


class KmsSealer:
    """AES-256-GCM under a data key of its own; the encrypted data key goes before nonce and ciphertext."""

    def __init__(self, key_id: str, client: Callable[[], Any]) -> None:
        self._key_id, self._client = key_id, client

    def seal(self, plain: bytes, context: str) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        made = _call(
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
        key = _call(
            self._client().decrypt,
            KeyId=self._key_id,
            CiphertextBlob=wrapped,
            EncryptionContext={"rune": context},
        )
        try:
            return AESGCM(key["Plaintext"]).decrypt(nonce, cipher, context.encode())
        except InvalidTag as exc:
            raise ValueError("the sealed value does not belong here") from exc


def _call(operation: Callable[..., Any], **arguments: Any) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return operation(**arguments)
    except ClientError as exc:
        code = exc.response["Error"]["Code"]
        if code in ("NoSuchKey", "404"):
            raise BlobNotFound("no such blob") from exc
        if code == "InvalidCiphertextException":
            raise ValueError("the sealed value does not belong here") from exc
        raise Unavailable("storage refused a call") from exc
    except BotoCoreError as exc:
        raise Unavailable("storage does not answer") from exc
