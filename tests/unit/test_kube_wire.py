"""Access reviews in protobuf and JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rune.sandbox.kube.wire import Unreadable, read_message, read_review


def part(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found, value = found + bytes([value & 0x7F | 0x80]), value >> 7
    return found + bytes([value])


def review(kind: str, spec: bytes) -> bytes:
    types = part(1, b"authorization.k8s.io/v1") + part(2, kind.encode())
    return b"k8s\x00" + part(1, types) + part(2, part(1, b"") + part(2, spec) + part(3, b"")) + part(4, b"")


def test_resource_attributes_are_read_from_protobuf() -> None:
    texts = [b"shop", b"get", b"apps", b"*", b"pods", b"log", b"web-1"]
    attributes = b"".join(part(i + 1, text) for i, text in enumerate(texts))
    assert read_review(review("SelfSubjectAccessReview", part(1, attributes))) == {
        "resourceAttributes": {
            "namespace": "shop", "verb": "get", "group": "apps", "version": "*", "resource": "pods",
            "subresource": "log", "name": "web-1",
        }
    }  # fmt: skip


def test_non_resource_attributes_are_read_from_protobuf() -> None:
    spec = part(2, part(1, b"/healthz") + part(2, b"get"))
    found = read_review(review("SelfSubjectAccessReview", spec))
    assert found == {"nonResourceAttributes": {"path": "/healthz", "verb": "get"}}


def test_the_namespace_of_a_rules_review_is_read_from_protobuf() -> None:
    assert read_review(review("SelfSubjectRulesReview", part(1, b"shop"))) == {"namespace": "shop"}


HEAD = b'\n\x10\n\x00\x12\x00\x1a\x00"\x00*\x002\x008\x00B\x00'
TAIL = b'\x1a\x00"\x00'
ACCESS = b"k8s\x00\n2\n\x17authorization.k8s.io/v1\x12\x17SelfSubjectAccessReview"
RULES = b"k8s\x00\n1\n\x17authorization.k8s.io/v1\x12\x16SelfSubjectRulesReview"
DENIED = b"\x1a\x08\x08\x00\x12\x00\x1a\x00 \x00"


def test_bodies_recorded_from_kubectl_are_read() -> None:
    asked = b'\x12#\n!\n\x04shop\x12\x03get\x1a\x00"\x00*\x04pods2\x03log:\x05web-1'
    found = read_review(ACCESS + b"\x12A" + HEAD + asked + DENIED + TAIL)
    attributes = found["resourceAttributes"]
    assert {key: value for key, value in attributes.items() if value} == {
        "namespace": "shop", "verb": "get", "resource": "pods", "subresource": "log", "name": "web-1",
    }  # fmt: skip
    path = ACCESS + b"\x12/" + HEAD + b"\x12\x11\x12\x0f\n\x08/healthz\x12\x03get" + DENIED + TAIL
    assert read_review(path) == {"nonResourceAttributes": {"path": "/healthz", "verb": "get"}}
    rules = RULES + b"\x12 " + HEAD + b'\x12\x06\n\x04shop\x1a\x04\x18\x00"\x00' + TAIL
    assert read_review(rules) == {"namespace": "shop"}


def test_a_review_in_json_gives_its_spec() -> None:
    spec = {"resourceAttributes": {"verb": "list", "resource": "pods"}}
    assert read_review(json.dumps({"spec": spec}).encode()) == spec


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"spec": 1}', b"k8s\x00\x0a\xff", b"k8s\x00\x0b"])
def test_anything_else_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_review(body)


def test_fields_of_other_wire_types_are_skipped() -> None:
    data = varint(9 << 3) + varint(300) + varint(8 << 3 | 1) + b"x" * 8 + varint(7 << 3 | 5) + b"y" * 4
    assert read_message(data + part(2, b"kept")) == {2: b"kept"}


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    try:
        found = read_review(b"k8s\x00" + data)
    except Unreadable:
        return
    assert found.keys() & {"namespace", "resourceAttributes", "nonResourceAttributes"}
