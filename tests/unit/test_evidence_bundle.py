"""Bundles: their bytes, and what tools that know nothing of the product say about them (runs-api.md 7, 17)."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import rfc8785
from cryptography.exceptions import InvalidSignature
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey
from tests.unit.evidence_mutations import unpack
from tests.unit.evidence_runs import OTHER_SIGNER, REPORT, SIGNER, STDOUT, check, full_run, record
from tests.unit.independent_checks import open_note, tree_hash

from rune_common.domain.chain import genesis, leaf_hash, link_hash, merkle_root
from rune_common.domain.events import EventDraft
from rune_common.domain.evidence.keys import EvidenceKey, parse_verifier_key
from rune_common.domain.evidence.notes import Checkpoint, checkpoint_origin, parse_checkpoint, sign_checkpoint
from rune_common.domain.evidence.zip_format import Entry, central_record, end_records, local_header
from rune_common.domain.redaction_rules import RULESET_VERSION

VERIFIER_KEY = "rune.local+c174f308+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
NOTE = """\
rune.local/runs/default/run-1
3
p5vUAZS2ZU1GBZ4VgKIVezvyXn7rgzyJJDmMmt04Vuo=

— rune.local wXTzCIfYWYANKjvaBt7stMbScjN24uZq4f+Ysp2FiWwDa/LHJNAgpSpq7nv2LxR8bpjpraKkeABz0ZndefRLsm68Kwo=
"""


@pytest.fixture(scope="module")
def bundle() -> bytes:
    return full_run().build()[0]


@pytest.fixture(scope="module")
def files(bundle: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(bundle)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def entries(timeline: bytes) -> list[bytes]:
    found = []
    for line in timeline.splitlines():
        event = json.loads(line)
        found.append(rfc8785.dumps({k: v for k, v in event.items() if k not in ("hash", "prev_hash")}))
    return found


def test_the_vectors_of_the_contract_come_out() -> None:
    leaves = [leaf_hash(entry) for entry in (b'{"a":1}', b'{"a":2}', b'{"a":3}')]
    assert genesis("default", "run-1") == "7a6c2c7225250818de30b4be122a03be46edd94a63803e5dd0a09cfc54aed30b"
    links = [genesis("default", "run-1")]
    for leaf in leaves:
        links.append(link_hash(links[-1], leaf))
    assert links[3] == "db014bf1586d98f6554fc993b3a2dcbe5c2d4e8c9ac00e9a97a5482f065ac354"
    root = merkle_root(leaves)
    assert root == "a79bd40194b6654d46059e1580a2157b3bf25e7eeb833c8924398c9add3856ea"
    assert (SIGNER.key.key_id, SIGNER.key.verifier_key) == ("139e3940e64b5491", VERIFIER_KEY)
    checkpoint = Checkpoint(checkpoint_origin("rune.local", "default", "run-1"), 3, root)
    assert sign_checkpoint(checkpoint, SIGNER) == NOTE.encode()
    assert parse_checkpoint(NOTE.encode()).checkpoint == checkpoint


def test_equal_input_gives_equal_bytes(bundle: bytes) -> None:
    assert full_run().build()[0] == bundle
    assert full_run(seed=1).build()[0] != bundle
    assert full_run().build(OTHER_SIGNER)[0] != bundle


def test_a_bundle_verifies(bundle: bytes) -> None:
    report = check(bundle)
    assert report.ok
    assert report.mismatches == ()
    assert (report.run_id, report.event_count, report.complete) == ("run-1", len(full_run().lines), True)


def test_the_files_are_those_of_the_contract(files: dict[str, bytes]) -> None:
    named = {name for name in files if "/" not in name}
    assert named == {
        *(
            "manifest.json",
            "manifest.dsse.json",
            "run.json",
            "request.json",
            "timeline.ndjson",
            "timeline.sha256",
        ),
        *("integrity.json", "checkpoint.txt", "findings.jsonl", "findings.sarif", "findings_summary.json"),
        *("approvals.json", "gates.json", "usage.json", "redaction.json", "VERIFY.md"),
    }
    assert files["terminal/main.stdout.log"] == STDOUT
    assert files["terminal/main.stderr.log"] == b"err\n"
    assert sorted(content for name, content in files.items() if name.endswith("/report.md")) == [REPORT]
    assert not [name for name in files if name.startswith("artifacts/") and name.endswith(".log")]
    assert files["timeline.ndjson"] == b"".join(line + b"\n" for line in full_run().lines)


def test_a_loop_has_its_own_file() -> None:
    run = record(
        [
            EventDraft("run_queued", {"request": {"kind": "loop"}}),
            EventDraft("loop_started", {"limits": {"max_iterations": 3}}),
            EventDraft("iteration_completed", {"record": {"index": 1}}),
        ]
    )
    files = unpack(run.build()[0])
    assert json.loads(files["loop.json"]) == {"iterations": [{"index": 1}], "limits": {"max_iterations": 3}}


def test_json_files_are_canonical(files: dict[str, bytes]) -> None:
    for name, content in files.items():
        if name.endswith((".json", ".sarif")):
            assert content == rfc8785.dumps(json.loads(content)) + b"\n", name
    for line in files["findings.jsonl"].splitlines():
        assert line == rfc8785.dumps(json.loads(line))


def test_a_run_that_goes_on_is_not_complete() -> None:
    bundle, built = full_run().build(sequence=5)
    assert not built.log.status.complete
    assert json.loads(unpack(bundle)["integrity.json"])["complete"] is False
    assert check(bundle).ok


def test_every_zip_entry_is_stored_dated_and_owned_alike(bundle: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(bundle)) as opened:
        infos = opened.infolist()
        assert opened.testzip() is None
        assert opened.comment == b""
    names = [info.filename.encode() for info in infos]
    assert names == sorted(names)
    for info in infos:
        assert (info.compress_type, info.date_time) == (zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0))
        assert (info.external_attr >> 16, info.create_system) == (0o100644, 3)
        assert (info.extra, info.comment, info.flag_bits & 8) == (b"", b"", 0)


def test_large_numbers_need_zip64_and_small_ones_do_not() -> None:
    small, large = Entry("a", 5, 1, 0), Entry("a", 1 << 33, 1, 1 << 34)
    assert len(local_header(small)) == 31
    assert len(local_header(large)) == 31 + 20
    assert len(central_record(large)) == len(central_record(small)) + 28
    assert len(end_records(3, 100, 100)) == 22
    assert len(end_records(70_000, 100, 100)) == 22 + 56 + 20


@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
def test_unzip_finds_no_fault(bundle: bytes, tmp_path: Path) -> None:
    (tmp_path / "bundle.zip").write_bytes(bundle)
    done = subprocess.run(
        ["unzip", "-t", "bundle.zip"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "No errors detected" in done.stdout) == (0, True)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_sha256sum_agrees_with_the_timeline_and_the_manifest(files: dict[str, bytes], tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    subjects = json.loads(files["manifest.json"])["subject"]
    listed = "".join(f"{each['digest']['sha256']}  {each['name']}\n" for each in subjects)
    (tmp_path / "all.sha256").write_text(listed)
    for sums in ("timeline.sha256", "all.sha256"):
        subprocess.run(["sha256sum", "--strict", "-c", sums], cwd=tmp_path, capture_output=True, check=True)
    assert {each["name"] for each in subjects} == files.keys() - {"manifest.json", "manifest.dsse.json"}


def test_an_independent_dsse_library_accepts_the_envelope_and_refuses_another_key(
    files: dict[str, bytes],
) -> None:
    def key(found: EvidenceKey) -> SSlibKey:
        return SSlibKey(SIGNER.key.key_id, "ed25519", "ed25519", {"public": found.public.hex()})

    def envelope() -> Envelope:
        return Envelope.from_dict(json.loads(files["manifest.dsse.json"]))

    assert envelope().verify([key(SIGNER.key)], 1)
    assert envelope().payload == files["manifest.json"]
    with pytest.raises(VerificationError):
        envelope().verify([key(OTHER_SIGNER.key)], 1)
    statement = json.loads(files["manifest.json"])
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "urn:rune:predicate:run-evidence:v1"
    assert statement["predicate"]["redaction"]["ruleset_version"] == RULESET_VERSION


def test_an_independent_note_verifier_opens_the_checkpoint(files: dict[str, bytes]) -> None:
    text = open_note(files["checkpoint.txt"], VERIFIER_KEY)
    assert text.splitlines()[:2] == ["rune.local/runs/default/run-1", str(len(full_run().lines))]
    with pytest.raises(InvalidSignature):
        open_note(files["checkpoint.txt"].replace(b"run-1", b"run-2"), VERIFIER_KEY)


def test_the_root_is_that_of_rfc_6962(files: dict[str, bytes]) -> None:
    root = json.loads(files["integrity.json"])["merkle_root"]
    assert tree_hash(entries(files["timeline.ndjson"])).hex() == root


def test_redactions_are_listed_where_they_happened(files: dict[str, bytes]) -> None:
    found = json.loads(files["redaction.json"])
    assert (found["status"], found["total"], found["unredacted_export"]) == ("applied", 2, False)
    assert {each["pointer"] for each in found["fields"]} == {"/payload/request/api_key", "/payload/command"}
    assert b"known-secret-value" not in b"".join(files.values())
    plain = record([EventDraft("run_queued", {"request": {}})])
    assert json.loads(unpack(plain.build()[0])["redaction.json"])["status"] == "none"


def test_findings_carry_their_fingerprint_into_sarif(files: dict[str, bytes]) -> None:
    results = json.loads(files["findings.sarif"])["runs"][0]["results"]
    lines = [json.loads(line) for line in files["findings.jsonl"].splitlines()]
    assert [each["partialFingerprints"]["runeFingerprint/v1"] for each in results] == [
        each["fingerprint"] for each in lines
    ]
    assert [(each["level"], each["properties"]["state"]) for each in results] == [
        ("error", "fixed"),
        ("note", "open"),
    ]


def test_an_artifact_whose_bytes_are_gone_is_told_by_the_check() -> None:
    run = full_run()
    run.blobs = {name: content for name, content in run.blobs.items() if content != REPORT}
    report = check(run.build()[0])
    assert [each.type for each in report.mismatches] == ["artifact_missing"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rune.local",
        VERIFIER_KEY[:-4],
        VERIFIER_KEY.replace("c174", "c175"),
        VERIFIER_KEY.replace("+A", "+B"),
    ],
)
def test_a_damaged_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="key"):
        parse_verifier_key(text)
