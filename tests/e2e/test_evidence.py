"""Evidence of a run on the local server (runs-api.md 18: 24, 25, 26)."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from tests.e2e.jobs_client import Jobs
from tests.e2e.local_server import LocalServer, eventually

SECRET = "ghp_" + "a1B2" * 10


@pytest.fixture(scope="module")
def run_id(jobs: Jobs) -> str:
    job = jobs.ask(f"what does {SECRET} open?")
    assert job["status"] == "succeeded", job
    return str(job["job_id"])


@pytest.fixture(scope="module")
def bundle(jobs: Jobs, run_id: str) -> bytes:
    answer = jobs.http.get(f"/api/v1/runs/{run_id}/evidence", params={"format": "zip"})
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.fixture
def folder(bundle: bytes, tmp_path: Path) -> Path:
    (tmp_path / "bundle.zip").write_bytes(bundle)
    return tmp_path


def rune(
    *arguments: str, server: LocalServer | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    address = server.url if server else "http://192.0.2.1:1"
    environment = {"PATH": "/usr/bin:/bin", "RUNE_BACKEND": "http", "RUNE_API_BASE_URL": address}
    return subprocess.run(
        [sys.executable, "-m", "rune", *arguments],
        env=environment, cwd=cwd, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_same_bundle_comes_again_under_both_prefixes(jobs: Jobs, run_id: str, bundle: bytes) -> None:
    answer = jobs.http.get(f"/api/v1/runtime/runs/{run_id}/evidence", headers={"Accept": "application/zip"})
    sha256 = hashlib.sha256(bundle).hexdigest()
    assert answer.content == bundle
    assert answer.headers["ETag"] == f'"{sha256}"'
    encoded = base64.b64encode(bytes.fromhex(sha256)).decode()
    assert answer.headers["Repr-Digest"] == f"sha-256=:{encoded}:"
    known = jobs.http.get(
        f"/api/v1/runs/{run_id}/evidence", params={"format": "zip"}, headers={"If-None-Match": f'"{sha256}"'}
    )
    assert (known.status_code, known.content) == (304, b"")


def test_other_tools_can_read_it(folder: Path) -> None:
    unzip = which("unzip")
    if unzip:
        assert subprocess.run([unzip, "-t", "bundle.zip"], cwd=folder, capture_output=True, check=True)
    with zipfile.ZipFile(folder / "bundle.zip") as opened:
        assert opened.testzip() is None
        opened.extractall(folder)
    subprocess.run(["sha256sum", "-c", "timeline.sha256"], cwd=folder, capture_output=True, check=True)


def test_no_secret_is_in_it_and_what_was_removed_is_counted(bundle: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(bundle)) as opened:
        assert not [name for name in opened.namelist() if SECRET.encode() in opened.read(name)]
        redaction = json.loads(opened.read("redaction.json"))
    assert redaction["status"] == "applied"
    assert redaction["by_rule"]["github_token"] >= 1
    assert redaction["total"] == sum(redaction["by_rule"].values())


def test_the_published_key_verifies_it_offline(jobs: Jobs, folder: Path, run_id: str) -> None:
    published = jobs.http.get("/api/v1/runtime/evidence-keys")
    (folder / "keys.json").write_text(published.text)
    done = rune("evidence", "verify", "bundle.zip", "--key", "keys.json", "--json", cwd=folder)
    report: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, report["ok"], report["run_id"], report["mismatches"]) == (0, True, run_id, [])
    assert rune("evidence", "verify", "bundle.zip", cwd=folder).returncode == 3
    damaged = bytearray((folder / "bundle.zip").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (folder / "bundle.zip").write_bytes(damaged)
    assert rune("evidence", "verify", "bundle.zip", "--key", "keys.json", cwd=folder).returncode == 1


def test_the_command_line_exports_it(server: LocalServer, run_id: str, bundle: bytes, tmp_path: Path) -> None:
    done = rune("evidence", "export", run_id, "--json", server=server, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    saved = json.loads(done.stdout)["result"]
    assert (tmp_path / saved["path"]).read_bytes() == bundle
    refused = rune("evidence", "export", "no-such-run", "--json", server=server, cwd=tmp_path)
    assert (refused.returncode, json.loads(refused.stdout)["code"]) == (1, "RUN_NOT_FOUND")
    assert [str(path) for path in tmp_path.iterdir()] == [saved["path"]]


def test_evidence_is_sealed_without_being_asked_for(jobs: Jobs, server: LocalServer) -> None:
    job_id = jobs.ask("is it sealed?")["job_id"]
    sealed = server.data_dir / "blobs" / "default" / job_id / "evidence" / "sealed.json"
    eventually(sealed.exists, "the seal")
    found = json.loads(sealed.read_text())
    assert (found["verified"], found["reproducible"], found["complete"]) == (True, True, True)


def test_the_bundle_survives_a_restart(server: LocalServer, jobs: Jobs, run_id: str, bundle: bytes) -> None:
    server.terminate()
    server.start()
    answer = jobs.http.get(f"/api/v1/runs/{run_id}/evidence", params={"format": "zip"})
    assert answer.content == bundle
