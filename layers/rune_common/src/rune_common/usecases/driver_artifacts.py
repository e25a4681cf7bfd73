"""What a driver hands over: bytes in its result, or files in its own output folder (jobs-api.md 10)."""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rune_common.domain.artifacts import DRIVER_KINDS, MAX_ARTIFACT_BYTES, plain_name
from rune_common.domain.events import Redacting

MAX_FILES = 200
MAX_TOTAL_BYTES = 256 * 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A file of a driver: read, redacted, and named so that it cannot be taken for anything else."""

    kind: str
    name: str
    content: bytes


def driver_artifacts(result: Mapping[str, Any], folder: Path, *, redactor: Redacting) -> Iterator[HandedOver]:
    """The files of a driver's result. What is not a regular file inside `folder` is passed over, unopened."""
    listed = result.get("artifacts")
    total = 0
    for item in (listed if isinstance(listed, list) else [])[:MAX_FILES]:
        content = _content(item, folder) if isinstance(item, Mapping) else None
        if content is None or len(content) > MAX_ARTIFACT_BYTES:
            continue
        total += len(content)
        if total > MAX_TOTAL_BYTES:
            return
        kind = _kind(item, content)
        yield HandedOver(kind, plain_name(str(item.get("name") or "artifact")), _redacted(content, redactor))


def _kind(item: Mapping[str, Any], content: bytes) -> str:
    kind = str(item.get("kind"))
    if kind not in DRIVER_KINDS or (kind == "screenshot" and not content.startswith(PNG)):
        return "other"
    return kind


def _content(item: Mapping[str, Any], folder: Path) -> bytes | None:
    encoded, path = item.get("content_base64"), item.get("path")
    if isinstance(encoded, str):
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return None
    return _read_inside(folder, path) if isinstance(path, str) else None


def _read_inside(folder: Path, path: str) -> bytes | None:
    """The bytes of a regular file below `folder`; no part of the way to it may be a link."""
    try:
        relative = Path(path).relative_to(folder) if os.path.isabs(path) else Path(path)
    except ValueError:
        return None
    parts = relative.parts
    if not parts or ".." in parts or "\0" in path:
        return None
    opened: list[int] = []
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        opened.append(os.open(folder, flags | os.O_DIRECTORY))
        for part in parts[:-1]:
            opened.append(os.open(part, flags | os.O_DIRECTORY, dir_fd=opened[-1]))
        # Opening a pipe would wait for its other end.
        opened.append(os.open(parts[-1], flags | os.O_NONBLOCK, dir_fd=opened[-1]))
        found = os.fstat(opened[-1])
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_size > MAX_ARTIFACT_BYTES:
            return None
        with os.fdopen(opened.pop(), "rb") as file:
            return file.read(MAX_ARTIFACT_BYTES + 1)
    except OSError:
        return None
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _redacted(content: bytes, redactor: Redacting) -> bytes:
    """Text without its secrets; what is no text has no place for one that a reader could see."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    redacted, found = redactor.value(text)
    return str(redacted).encode() if found else content
