"""The local stack's S3 and KMS: a folder of blobs and a key file, both private to the user."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from rune_common.domain.errors import BlobNotFound, Unavailable

KEY_BYTES = 32
NONCE_BYTES = 12
CHUNK_BYTES = 1024 * 1024


class FileBlobStore:
    """Blobs as files of mode 0600. A key is a relative path; each part of it must be a plain name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, content: bytes) -> None:
        path = self._path(key)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_private(temporary, content)
            temporary.replace(path)
        except OSError as exc:
            raise Unavailable("the blob could not be written") from exc

    def get(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError as exc:
            raise BlobNotFound(key) from exc
        except OSError as exc:
            raise Unavailable("the blob could not be read") from exc

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def put_new(self, key: str, content: bytes) -> bool:
        path = self._path(key)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_private(temporary, content)
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            finally:
                temporary.unlink()
        except OSError as exc:
            raise Unavailable("the blob could not be written") from exc
        return True

    def put_file(self, key: str, file: BinaryIO) -> None:
        path = self._path(key)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.seek(0)
            _write_private(temporary, iter(lambda: file.read(CHUNK_BYTES), b""))
            temporary.replace(path)
        except OSError as exc:
            raise Unavailable("the blob could not be written") from exc

    def chunks(self, key: str) -> Iterator[bytes]:
        try:
            file = self._path(key).open("rb")
        except FileNotFoundError as exc:
            raise BlobNotFound(key) from exc
        except OSError as exc:
            raise Unavailable("the blob could not be read") from exc
        return _parts(file)

    def link(self, key: str, *, seconds: int, filename: str) -> str | None:
        return None

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if not key or any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise BlobNotFound(key)
        return self._folder.joinpath(*parts)


class KeyFileSealer:
    """AES-256-GCM under a key from a file of mode 0600. A sealed value is nonce and ciphertext."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def seal(self, plain: bytes, context: str) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(read_or_make_key(self._path)).encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            key = AESGCM(read_or_make_key(self._path))
            return key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
        except InvalidTag as exc:
            raise ValueError("the sealed value does not belong here") from exc


def read_or_make_key(path: Path) -> bytes:
    """The 32 bytes of a key file, made at first use. Two processes that start together agree on one key."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        _write_private(temporary, secrets.token_bytes(KEY_BYTES))
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
        return path.read_bytes()


def _parts(file: BinaryIO) -> Iterator[bytes]:
    with file:
        yield from iter(lambda: file.read(CHUNK_BYTES), b"")


def _write_private(path: Path, content: bytes | Iterable[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for part in (content,) if isinstance(content, bytes) else content:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
