"""Sealing and exporting evidence on memory adapters (runs-api.md 7.1, 7.4)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.unit.evidence_mutations import unpack
from tests.unit.evidence_place import CALLER, NOW, RUN, LinkedBlobs, Place
from tests.unit.evidence_runs import check
from tests.unit.independent_checks import consistent, open_note, root_from_path

from rune_common.adapters.ed25519 import Ed25519Signer
from rune_common.adapters.evidence_keys import RECORD_KEY
from rune_common.adapters.memory import MemoryRunStore
from rune_common.adapters.scratch_files import ScratchFiles
from rune_common.domain.errors import (
    EvidenceBusy,
    EvidenceNotSealed,
    InvalidRequest,
    Misconfigured,
    RunNotFound,
)
from rune_common.domain.events import EventDraft
from rune_common.usecases.export_evidence import EvidenceQuery, export_evidence
from rune_common.usecases.prove_evidence import list_evidence_keys, prove_consistency, prove_inclusion
from rune_common.usecases.seal_evidence import evidence_key, seal_evidence

DAY_MS = 24 * 60 * 60 * 1000


@pytest.fixture
def place() -> Iterator[Place]:
    with ScratchFiles() as scratch:
        yield Place(scratch)


def test_an_ended_run_is_sealed_once_and_stays_as_it_is(place: Place) -> None:
    place.work()
    place.end()
    sealed = seal_evidence("default", RUN, ports=place.ports)
    assert (sealed.sealed, sealed.verified, sealed.reproducible, sealed.complete) == (True, True, True, True)
    place.now += 1_000
    assert seal_evidence("default", RUN, ports=place.ports) == sealed
    assert check(place.export(format="zip")).ok


def test_a_run_that_goes_on_is_not_sealed(place: Place) -> None:
    with pytest.raises(ValueError, match="goes on"):
        seal_evidence("default", RUN, ports=place.ports)


def test_an_export_seals_first(place: Place) -> None:
    place.work()
    place.end()
    content = place.export(format="zip", require_sealed=True)
    assert seal_evidence("default", RUN, ports=place.ports).size == len(content)
    assert place.export(format="zip") == content


def test_a_rotated_key_changes_no_bundle_and_stays_published(place: Place) -> None:
    place.work()
    early = place.export(format="zip", at_sequence=3)
    place.end()
    before = place.export(format="zip")
    place.now += 5_000
    rotated = place.with_seed(b"\x07" * 32)
    place.blobs.delete("default/run-1/evidence/sealed.json")
    assert place.export(rotated, format="zip") == before
    assert place.export(rotated, format="zip", at_sequence=3) == early
    later = place.export(rotated, format="zip", at_sequence=4)
    first, second = (Ed25519Signer("rune.local", seed).key for seed in (bytes(32), b"\x07" * 32))
    published = list_evidence_keys(keys=rotated.keys)
    assert [(each.key, each.retired_at) for each in published] == [(first, NOW + 5_000), (second, None)]
    assert check(later, second).ok
    assert [each.type for each in check(later, first).mismatches] == ["key_unknown"]


def test_evidence_outlives_the_record_of_its_run(place: Place) -> None:
    place.work()
    place.end()
    content = place.export(format="zip")
    gone = replace(place.ports, runs=MemoryRunStore())
    assert place.export(gone, format="zip") == content
    assert json.loads(place.export(gone, format="dsse"))["payloadType"] == "application/vnd.in-toto+json"
    with pytest.raises(RunNotFound):
        export_evidence(RUN, replace(CALLER, tenant="other"), EvidenceQuery(), ports=place.ports)


def test_a_running_run_is_exported_as_far_as_it_is(place: Place) -> None:
    place.work()
    content = place.export(format="zip")
    assert json.loads(unpack(content)["integrity.json"])["complete"] is False
    place.work(2)
    assert (
        place.export(format="zip", at_sequence=json.loads(unpack(content)["run.json"])["total_events"])
        == content
    )
    with pytest.raises(EvidenceNotSealed):
        place.export(require_sealed=True)


@pytest.mark.parametrize("sequence", [0, 100])
def test_a_sequence_outside_the_log_is_refused(place: Place, sequence: int) -> None:
    with pytest.raises(InvalidRequest):
        place.export(at_sequence=sequence)


def test_a_build_that_takes_too_long_gives_up(place: Place) -> None:
    place.work()
    ticking = iter(range(NOW, NOW + 10**9, 30_000))
    slow = replace(place.ports, clock=lambda: next(ticking))
    with pytest.raises(EvidenceBusy):
        place.export(slow, format="zip")


def test_the_json_form_holds_what_the_bundle_holds(place: Place) -> None:
    place.work()
    place.end()
    files = unpack(place.export(format="zip"))
    found = json.loads(place.export(include=("timeline", "findings", "artifacts", "terminal")))
    assert found["timeline"] == [json.loads(line) for line in files["timeline.ndjson"].splitlines()]
    assert found["manifest"] == json.loads(files["manifest.json"])
    assert found["run"] == json.loads(files["run.json"])
    assert found["findings"] == found["terminal"] == found["approvals"] == found["gates"] == []
    assert (found["integrity"]["verified"], found["integrity"]["mismatches"]) == (True, [])
    (artifact,) = found["artifacts"]
    assert artifact["download_url"] == f"/api/v1/runs/{RUN}/artifacts/{artifact['artifact_id']}"
    assert json.loads(place.export(include=("findings",)))["timeline"] is None


def test_step_output_is_in_the_json_form_when_asked_for(place: Place) -> None:
    data = {"terminal_seq": 1, "stream": "stdout", "step_id": "main", "encoding": "utf8", "data": "out\n"}
    place.change(None, EventDraft("terminal_output", data))
    (output,) = json.loads(place.export(include=("terminal",)))["terminal"]
    assert (output["step_id"], output["stream"], base64.b64decode(output["data"])) == (
        "main",
        "stdout",
        b"out\n",
    )


def test_damage_in_the_store_is_told_and_not_hidden(place: Place) -> None:
    place.work()
    key = next(each for each in place.blobs.keys if "/artifacts/" in each)
    place.blobs.put(key, b"something else")
    place.end()
    sealed = seal_evidence("default", RUN, ports=place.ports)
    assert not sealed.verified
    assert [each["type"] for each in sealed.mismatches] == ["artifact_sha_mismatch"]
    assert json.loads(place.export())["integrity"]["verified"] is False


def test_who_has_it_already_gets_nothing(place: Place) -> None:
    place.end()
    first = export_evidence(RUN, CALLER, EvidenceQuery(format="zip"), ports=place.ports)
    again = export_evidence(RUN, CALLER, EvidenceQuery(format="zip", known=(first.etag,)), ports=place.ports)
    other = export_evidence(RUN, CALLER, EvidenceQuery(known=(first.etag,)), ports=place.ports)
    assert again.unchanged
    assert not other.unchanged
    assert other.etag == f'"{first.checked.sha256}-json"'


def test_what_is_too_large_to_send_becomes_a_link(place: Place) -> None:
    place.work()
    place.end()
    blobs = LinkedBlobs()
    blobs._blobs = place.blobs._blobs
    ports = replace(place.ports, blobs=blobs)
    for form, name in (("zip", "bundle.zip"), ("json", "exports/")):
        query = EvidenceQuery(format=form)  # type: ignore[arg-type]
        found = export_evidence(RUN, CALLER, query, ports=ports, inline_limit=100)
        assert found.link is not None
        assert name in found.link
        key = found.link.removeprefix("https://blobs.example/").partition("?")[0]
        assert len(blobs.get(key)) == found.size > 100
        assert found.expires_at == NOW + 900_000
    running = EvidenceQuery(format="zip", at_sequence=2, delivery="link")
    found = export_evidence(RUN, CALLER, running, ports=ports)
    assert found.link is not None


def test_proofs_convince_an_independent_implementation(place: Place) -> None:
    place.work(9)
    for sealed in (False, True):
        if sealed:
            place.end()
            seal_evidence("default", RUN, ports=place.ports)
        for size in range(1, place.size + 1):
            for sequence in range(1, size + 1):
                found = prove_inclusion(RUN, CALLER, sequence, at_sequence=size, ports=place.ports)
                path = [base64.b64decode(each) for each in found.hashes]
                leaf = base64.b64decode(found.leaf)
                root = root_from_path(leaf, found.leaf_index, found.tree_size, path)
                assert base64.b64encode(root).decode() == found.root
            key = Ed25519Signer("rune.local", bytes(32)).key
            text = open_note(found.checkpoint.encode(), key.verifier_key)
            assert text.splitlines()[1:] == [str(size), found.root]
            for first in range(1, size + 1):
                proof = prove_consistency(RUN, CALLER, first, size, ports=place.ports)
                hashes = [base64.b64decode(each) for each in proof.hashes]
                roots = base64.b64decode(proof.from_root), base64.b64decode(proof.to_root)
                assert consistent(first, size, *roots, hashes)


@pytest.mark.parametrize(("sequence", "at"), [(0, None), (99, None), (3, 2), (1, 99)])
def test_a_proof_outside_the_log_is_refused(place: Place, sequence: int, at: int | None) -> None:
    with pytest.raises(InvalidRequest):
        prove_inclusion(RUN, CALLER, sequence, at_sequence=at, ports=place.ports)


def test_whoever_may_not_sign_still_tells_the_keys(place: Place) -> None:
    place.end()
    seal_evidence("default", RUN, ports=place.ports)
    reader = place.with_seed(None).keys
    assert len(list_evidence_keys(keys=reader)) == 1
    with pytest.raises(Misconfigured):
        reader.signer()
    place.blobs.delete(RECORD_KEY)
    assert list_evidence_keys(keys=reader) == []


def test_the_record_of_keys_is_renewed_before_the_store_forgets_it(place: Place) -> None:
    before = list_evidence_keys(keys=place.ports.keys)
    written = place.blobs.get(RECORD_KEY)
    place.now += 29 * DAY_MS
    assert list_evidence_keys(keys=place.with_seed(bytes(32)).keys) == before
    assert place.blobs.get(RECORD_KEY) == written
    place.now += 2 * DAY_MS
    assert list_evidence_keys(keys=place.with_seed(bytes(32)).keys) == before
    assert place.blobs.get(RECORD_KEY) != written


def test_signatures_of_an_older_projection_are_made_anew(place: Place) -> None:
    place.work()
    first = place.export(format="zip", at_sequence=3)
    key = evidence_key("default", RUN, 3, "signatures.json")
    document = json.loads(place.blobs.get(key))
    document["signatures"] = {"00" * 32: next(iter(document["signatures"].values()))}
    place.blobs.put(key, json.dumps(document).encode())
    assert place.export(format="zip", at_sequence=3) == first
