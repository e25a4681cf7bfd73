"""Just enough protobuf to read the access reviews kubectl posts (holmes-driver.md 6.2).

A body is `k8s\\0` and a `runtime.Unknown` whose field 2 is the review; its field 2 is the spec.
"""

from __future__ import annotations

import json

from rune.sandbox.kube.parts import Json

MAGIC = b"k8s\x00"
ATTRIBUTES = {1: "namespace", 2: "verb", 3: "group", 4: "version", 5: "resource", 6: "subresource", 7: "name"}
Message = dict[int, bytes]


class Unreadable(ValueError):
    """A body that is neither JSON nor the protobuf expected."""


def read_review(body: bytes) -> Json:
    """The `spec` of a SelfSubjectAccessReview or SelfSubjectRulesReview, in its JSON form."""
    if not body.startswith(MAGIC):
        try:
            spec = json.loads(body)["spec"]
        except (ValueError, KeyError, TypeError) as exc:
            raise Unreadable(f"the body is not a review: {exc}") from exc
        if not isinstance(spec, dict):
            raise Unreadable("the body is not a review: spec is not an object")
        return spec
    unknown = read_message(body[len(MAGIC) :])
    kind = read_message(unknown.get(1, b"")).get(2, b"").decode("utf-8", "replace")
    spec_bytes = read_message(unknown.get(2, b"")).get(2, b"")
    if kind == "SelfSubjectRulesReview":
        return {"namespace": read_message(spec_bytes).get(1, b"").decode("utf-8", "replace")}
    parts = read_message(spec_bytes)
    if 2 in parts:
        path = read_message(parts[2])
        return {"nonResourceAttributes": {"path": _text(path, 1), "verb": _text(path, 2)}}
    asked = read_message(parts.get(1, b""))
    return {"resourceAttributes": {name: _text(asked, number) for number, name in ATTRIBUTES.items()}}


def _text(message: Message, number: int) -> str:
    return message.get(number, b"").decode("utf-8", "replace")


def read_message(data: bytes) -> Message:
    """The length-delimited fields of a message by number, the last of each; others are skipped."""
    found: Message = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                _, at = _varint(data, at)
            case 1:
                at += 8
            case 2:
                size, at = _varint(data, at)
                found[tag >> 3] = data[at : at + size]
                at += size
            case 5:
                at += 4
            case wire:
                raise Unreadable(f"protobuf wire type {wire}")
        if at > len(data):
            raise Unreadable("protobuf message ends early")
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
    raise Unreadable("protobuf number ends early")
