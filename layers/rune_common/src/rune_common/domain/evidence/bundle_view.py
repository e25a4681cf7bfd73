"""The `json` form of a bundle, written piece by piece from the bundle itself (runs-api.md 7.1)."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from rune_common.domain.events import timestamp
from rune_common.domain.evidence.kept import CheckedBundle
from rune_common.domain.evidence.projections import ENVELOPE, INTEGRITY, MANIFEST, TIMELINE
from rune_common.domain.evidence.zip_reader import ZipContents
from rune_common.domain.json_fields import members, text

PARTS = ("timeline", "findings", "artifacts", "terminal")
SHOWN = ("timeline", "findings", "artifacts")
"""The lists that are there when a request names none."""

_TERMINAL = "terminal/"


def bundle_view(contents: ZipContents, checked: CheckedBundle, include: Collection[str]) -> Iterator[bytes]:
    """The JSON text in parts. Lists that were not asked for are null."""
    yield _object_start(_head(contents, checked))
    yield b',"timeline":'
    yield from _lines(contents, TIMELINE) if "timeline" in include else (b"null",)
    yield b',"findings":'
    yield from _lines(contents, "findings.jsonl") if "findings" in include else (b"null",)
    yield b',"artifacts":'
    yield _dumps(_artifacts(contents, checked.run_id) if "artifacts" in include else None)
    yield b',"terminal":'
    yield from _terminal(contents) if "terminal" in include else (b"null",)
    yield b"}"


def read_json(contents: ZipContents, name: str) -> Any:
    """A JSON file of the bundle; None without it."""
    content = contents.read(name, contents.entries[name].size) if name in contents.entries else None
    return None if content is None else json.loads(content)


def _head(contents: ZipContents, checked: CheckedBundle) -> dict[str, Any]:
    own_check = {
        "verified": checked.verified,
        "verified_at": timestamp(checked.verified_at),
        "mismatches": list(checked.mismatches),
    }
    return {
        "run_id": checked.run_id,
        "complete": checked.complete,
        "at_sequence": checked.at_sequence,
        "bundle": {"sha256": checked.sha256, "bytes": checked.size},
        "manifest": read_json(contents, MANIFEST),
        "dsse": read_json(contents, ENVELOPE),
        "integrity": {**read_json(contents, INTEGRITY), **own_check},
        "redaction": read_json(contents, "redaction.json"),
        "findings_summary": read_json(contents, "findings_summary.json"),
        "run": read_json(contents, "run.json"),
        "approvals": read_json(contents, "approvals.json")["approvals"],
        "gates": read_json(contents, "gates.json")["gates"],
        "usage": read_json(contents, "usage.json"),
        "loop": read_json(contents, "loop.json"),
    }


def _lines(contents: ZipContents, name: str) -> Iterator[bytes]:
    """A file of JSON lines as a list, each line as it is stored."""
    rest, between = b"", b"["
    for chunk in contents.chunks(name):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield between + line
            between = b","
    yield b"]" if between == b"," else b"[]"


def _artifacts(contents: ZipContents, run_id: str) -> list[dict[str, Any]]:
    rest, found = b"", []
    for chunk in contents.chunks(TIMELINE):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if b'"artifact_added"' in line:
                event = json.loads(line)
                if event.get("type") == "artifact_added":
                    found.append(_artifact(members(event, "payload"), run_id))
    return found


def _artifact(payload: Mapping[str, Any], run_id: str) -> dict[str, Any]:
    names = ("artifact_id", "name", "kind", "bytes", "sha256", "media_type")
    place = f"/api/v1/runs/{run_id}/artifacts/{text(payload, 'artifact_id')}"
    return {name: payload.get(name) for name in names} | {"download_url": place}


def _terminal(contents: ZipContents) -> Iterator[bytes]:
    """Step output as base64, whatever its bytes are."""
    between = b"["
    for name in contents.entries:
        if name.startswith(_TERMINAL):
            step_id, _, stream = name.removeprefix(_TERMINAL).removesuffix(".log").rpartition(".")
            about = {"step_id": step_id, "stream": stream, "bytes": contents.entries[name].size}
            yield between + _object_start({**about, "encoding": "base64"}) + b',"data":"'
            yield from _base64(contents.chunks(name))
            yield b'"}'
            between = b","
    yield b"]" if between == b"," else b"[]"


def _base64(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        whole = len(data) - len(data) % 3
        yield base64.b64encode(data[:whole])
        rest = data[whole:]
    yield base64.b64encode(rest)


def _object_start(document: Mapping[str, Any]) -> bytes:
    """An object whose last members are still to come."""
    return _dumps(document)[:-1]


def _dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
