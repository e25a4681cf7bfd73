"""The offline check: what it says of sound, damaged and hostile bundles (runs-api.md 7.5, 16)."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.evidence_mutations import CHECKPOINT, ENVELOPE, MANIFEST, TIMELINE, pack, unpack
from tests.unit.evidence_runs import OTHER_SIGNER, SIGNER, check, full_run, record
from tests.unit.test_fold import PAYLOADS, TYPES, USAGES

from rune_common.adapters.ed25519 import ed25519_verify
from rune_common.domain.events import FAMILY_OF, TERMINAL_TYPES, EventDraft
from rune_common.domain.evidence.report import TrustedKeys
from rune_common.domain.evidence.verify import verify_bundle
from rune_common.domain.evidence.zip_reader import BundleUnreadable

KINDS = st.sampled_from([kind for kind in TYPES if kind in FAMILY_OF and kind not in TERMINAL_TYPES])
DRAFTS = st.lists(st.builds(EventDraft, KINDS, PAYLOADS, usage=USAGES), max_size=6)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return unpack(full_run().build()[0])


def unsigned(bundle: bytes) -> Any:
    return verify_bundle(io.BytesIO(bundle), TrustedKeys(ed25519_verify), scratch=io.BytesIO)


def types(bundle: bytes) -> list[str]:
    return [each.type for each in check(bundle).mismatches]


@settings(max_examples=60)
@given(DRAFTS, st.booleans())
def test_whatever_a_log_holds_its_bundle_verifies(drafts: list[EventDraft], ended: bool) -> None:
    run = record([*drafts, *([EventDraft("run_completed", {})] if ended else [])])
    bundle, built = run.build()
    found = check(bundle)
    assert [each for each in found.mismatches if each.type != "artifact_missing"] == []
    assert (found.event_count, found.complete) == (len(run.lines), ended)
    assert run.build()[1].sha256 == built.sha256
    with zipfile.ZipFile(io.BytesIO(bundle)) as opened:
        assert opened.testzip() is None


@settings(max_examples=60)
@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), PAYLOADS, max_size=3) | PAYLOADS | st.binary(max_size=9),
        max_size=4,
    )
)
def test_no_timeline_breaks_the_check(lines: list[Any]) -> None:
    names = ("type", "payload", "usage", "redactions", "sequence", "hash", "prev_hash", "ts")
    content = b""
    for line in lines:
        if isinstance(line, bytes):
            content += line + b"\n"
        else:
            event = dict(zip(names, [*line.values(), "tool_call", 1, "00"], strict=False)) | line
            content += rfc8785.dumps(event) + b"\n"
    found = check(pack(unpack(full_run().build()[0]) | {TIMELINE: content}))
    assert not found.ok


@given(st.binary(max_size=300))
def test_no_file_breaks_the_check(content: bytes) -> None:
    with contextlib.suppress(BundleUnreadable):
        assert not check(content).ok


def test_without_a_key_damage_is_found_all_the_same(files: dict[str, bytes]) -> None:
    assert unsigned(pack(files)).mismatches == ()
    assert unsigned(pack(files)).signatures == "unchecked"
    other = unpack(full_run().build(OTHER_SIGNER)[0])
    swapped = unsigned(pack(files | {CHECKPOINT: other[CHECKPOINT]}))
    assert {each.type for each in swapped.mismatches} == {"file_sha_mismatch", "key_unknown"}
    envelope = json.loads(files[ENVELOPE])
    envelope["signatures"][0]["sig"] = json.loads(other[ENVELOPE])["signatures"][0]["sig"]
    forged = unsigned(pack(files | {ENVELOPE: rfc8785.dumps(envelope) + b"\n"}))
    assert ([each.type for each in forged.mismatches], forged.signatures) == (
        ["manifest_signature_invalid"],
        "invalid",
    )


def test_the_key_that_a_bundle_names_proves_nothing_by_itself() -> None:
    bundle = full_run().build(OTHER_SIGNER)[0]
    assert types(bundle) == ["key_unknown"]
    assert check(bundle, bundle_key=True).signatures != "valid"
    trusting = TrustedKeys(ed25519_verify, bundle_key=True)
    assert verify_bundle(io.BytesIO(bundle), trusting, scratch=io.BytesIO).ok


def test_a_file_is_still_checked_when_the_manifest_is_gone(files: dict[str, bytes]) -> None:
    left = {name: content for name, content in files.items() if name not in (MANIFEST, ENVELOPE)}
    assert types(pack(left)) == ["file_missing", "file_missing"]
    edited = left | {"usage.json": b"{}\n"}
    assert types(pack(edited)) == ["file_missing", "file_missing", "projection_mismatch"]


def test_another_runs_timeline_is_of_another_run(files: dict[str, bytes]) -> None:
    foreign = unpack(full_run(tenant="other").build()[0])[TIMELINE]
    # A leaf does not know its tenant, so only the chain tells.
    assert {"genesis_mismatch", "head_mismatch"} <= set(types(pack(files | {TIMELINE: foreign})))
    moved = unpack(full_run(run_id="run-2").build()[0])[TIMELINE]
    assert {"genesis_mismatch", "run_id_mismatch"} <= set(types(pack(files | {TIMELINE: moved})))


def test_a_lost_line_end_is_a_fault_of_form(files: dict[str, bytes]) -> None:
    assert "format_invalid" in types(pack(files | {TIMELINE: files[TIMELINE][:-1]}))
    assert "format_invalid" in types(pack(files | {TIMELINE: files[TIMELINE].replace(b"\n", b"\r\n")}))
    assert "format_invalid" in types(pack(files | {TIMELINE: files[TIMELINE] + b"\n"}))


def test_an_endless_line_is_read_in_parts(files: dict[str, bytes]) -> None:
    found = check(pack(files | {TIMELINE: b"[" * (9 * 1024 * 1024)}))
    assert [each.type for each in found.mismatches].count("format_invalid") == 3


def test_the_same_files_packed_by_another_tool_are_not_the_bundle(files: dict[str, bytes]) -> None:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as packed:
            for name, content in files.items():
                packed.writestr(name, content)
        assert "format_invalid" in types(out.getvalue())


def test_something_before_between_or_after_the_files_is_seen() -> None:
    bundle = full_run().build()[0]
    assert types(bundle + b"x") == ["format_invalid"]
    assert types(bundle[:-1]) == ["format_invalid"]
    with pytest.raises(BundleUnreadable):
        check(b"x" + bundle)
    assert types(bundle.replace(b"PK\x01\x02", b"xPK\x01\x02", 1)) == ["format_invalid"]


def test_a_rewritten_log_needs_the_key(files: dict[str, bytes]) -> None:
    """Whoever rewrites everything consistently is found by the signature alone."""
    rewritten = full_run(seed=3).build(OTHER_SIGNER)[0]
    assert types(rewritten) == ["key_unknown"]
    mixed = unpack(rewritten) | {name: files[name] for name in (CHECKPOINT, MANIFEST, ENVELOPE)}
    assert {"root_mismatch", "head_mismatch", "file_sha_mismatch"} <= set(types(pack(mixed)))


def test_two_keys_may_be_trusted() -> None:
    bundle = full_run().build()[0]
    assert check(bundle, OTHER_SIGNER.key, SIGNER.key).ok
