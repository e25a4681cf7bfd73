"""`evidence export` and `evidence verify` (runs-api.md 7.5)."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.unit.evidence_runs import OTHER_SIGNER, SIGNER, full_run

KEY = SIGNER.key.verifier_key
PUBLIC = base64.b64encode(SIGNER.key.public)
PEM = Ed25519PublicKey.from_public_bytes(SIGNER.key.public).public_bytes(
    Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
)


@pytest.fixture(scope="module")
def content():
    return full_run().build()[0]


@pytest.fixture
def bundle(world, content):
    path = world.folder / "bundle.zip"
    path.write_bytes(content)
    return str(path)


def verify(world, *arguments):
    return world.run("evidence", "verify", *arguments)


def test_a_bundle_that_the_trusted_key_signed_is_verified(world, bundle):
    ran = verify(world, bundle, "--verifier-key", KEY)
    assert ran.code == 0
    assert "Verified: run run-1" in ran.out


def test_without_a_trusted_key_nothing_is_verified(world, bundle):
    ran = verify(world, bundle, "--json")
    assert (ran.code, ran.json["ok"], ran.json["signatures"], ran.json["mismatches"]) == (
        3,
        False,
        "unchecked",
        [],
    )


def test_the_bundles_own_key_counts_only_when_told(world, bundle):
    ran = verify(world, bundle, "--trust-bundle-key", "--json")
    assert (ran.code, ran.json["signatures"]) == (0, "valid")


def test_the_report_is_the_one_object_of_the_contract(world, bundle):
    report = verify(world, bundle, "--verifier-key", KEY, "--json").json
    assert report.keys() == {
        *("ok", "run_id", "complete", "event_count", "head_hash", "merkle_root", "key_id"),
        *("signatures", "mismatches"),
    }


@pytest.mark.parametrize(
    "text",
    [
        KEY.encode(),
        b"\n" + OTHER_SIGNER.key.verifier_key.encode() + b"\n" + KEY.encode() + b"\n",
        json.dumps({"keys": [{"verifier_key": KEY, "public_key": PUBLIC.decode()}]}).encode(),
        json.dumps({"public_key": PUBLIC.decode()}).encode(),
        PUBLIC,
        SIGNER.key.public,
        PEM,
    ],
    ids=["verifier key", "several", "published", "entry", "base64", "raw", "pem"],
)
def test_a_key_file_may_have_any_usual_form(world, bundle, text):
    path = world.folder / "key"
    path.write_bytes(text)
    assert verify(world, bundle, "--key", str(path)).code == 0


def test_another_key_is_told(world, bundle):
    ran = verify(world, bundle, "--verifier-key", OTHER_SIGNER.key.verifier_key, "--json")
    assert ran.code == 1
    assert [each["type"] for each in ran.json["mismatches"]] == ["key_unknown"]


def test_mismatches_name_their_places(world, bundle, content):
    with open(bundle, "wb") as file:
        file.write(content.replace(b'"status":"completed"', b'"status":"complete!"'))
    ran = verify(world, bundle, "--verifier-key", KEY)
    assert ran.code == 1
    assert "chain_break" in ran.out
    assert "run.json" in ran.out
    assert "NOT verified" in ran.err


def test_an_expected_head_is_compared(world, bundle):
    head = verify(world, bundle, "--json").json["head_hash"]
    assert verify(world, bundle, "--verifier-key", KEY, "--expect-head", head.upper()).code == 0
    ran = verify(world, bundle, "--verifier-key", KEY, "--expect-head", "00" * 32, "--json")
    assert [each["type"] for each in ran.json["mismatches"]] == ["head_mismatch"]


@pytest.mark.parametrize("text", [b"", b"no zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_bundle_cannot_be_read(world, text):
    path = world.folder / "bundle.zip"
    path.write_bytes(text)
    ran = verify(world, str(path), "--json")
    assert (ran.code, ran.json["code"]) == (2, "usage")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--verifier-key", "x"),
        ("--key", "/no/such/file"),
        ("--key", "{bundle}"),
        ("--verifier-key", KEY, "--key", "k"),
    ],
)
def test_a_key_that_is_none_is_a_usage_error(world, bundle, arguments):
    assert verify(world, bundle, *(each.format(bundle=bundle) for each in arguments)).code == 2


def test_a_missing_bundle_is_a_usage_error(world):
    assert verify(world, str(world.folder / "none.zip")).code == 2


def test_verifying_loads_nothing_that_could_reach_a_network(bundle):
    program = (
        "import sys; from rune.__main__ import main\n"
        f"sys.argv = ['rune', 'evidence', 'verify', {bundle!r}, '--verifier-key', {KEY!r}]\n"
        "try:\n    code = main()\nexcept SystemExit as exc:\n    code = exc.code\n"
        "loaded = {'httpx', 'boto3', 'botocore', 'urllib3', 'requests', 'fastapi'} & sys.modules.keys()\n"
        "assert not loaded, loaded\nassert not code, code"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def link(content, **more):
    download = {"url": "http://localhost:8080/download", "sha256": hashlib.sha256(content).hexdigest(),
                "bytes": len(content), "expires_at": "2026-01-01T00:15:00.000Z"}  # fmt: skip
    return httpx.Response(200, json={"run_id": "run-1", "at_sequence": 19, "download": download | more})


def test_an_export_is_saved_under_the_servers_name(world, content):
    world.server.failures = [link(content), httpx.Response(200, content=content)]
    ran = world.http("evidence", "export", "run-1", "--json")
    assert ran.code == 0, ran.err
    assert (world.folder / "rune-run-1-19.zip").read_bytes() == content
    asked = world.server.requests[0].url
    assert (asked.path, dict(asked.params)) == (
        "/api/v1/runs/run-1/evidence",
        {"format": "zip", "delivery": "link"},
    )
    assert ran.json["result"]["sha256"] == hashlib.sha256(content).hexdigest()


def test_an_export_that_is_not_what_was_announced_leaves_no_file(world, content):
    world.server.failures = [link(content), httpx.Response(200, content=content[:-1])]
    ran = world.http("evidence", "export", "run-1", "--output", "mine.zip")
    assert ran.code == 1
    assert not list(world.folder.glob("*mine*"))


def test_a_refusal_is_told_in_the_servers_words(world):
    error = {"code": "EVIDENCE_NOT_SEALED", "message": "the run goes on", "request_id": "r"}
    world.server.failures = [httpx.Response(409, json={"error": error})]
    ran = world.http("evidence", "export", "run-1", "--require-sealed", "--json")
    assert (ran.code, ran.json["code"]) == (1, "EVIDENCE_NOT_SEALED")
    assert "the run goes on" in ran.err
