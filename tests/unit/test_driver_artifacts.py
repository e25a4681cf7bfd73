"""What is taken from a driver, and what is left where it is (jobs-api.md 10)."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rune_common.adapters.memory import MemoryBlobStore, MemoryRunStore
from rune_common.domain.chain import genesis
from rune_common.domain.driver_protocol import DriverSuccess
from rune_common.domain.errors import AttemptSuperseded, Unavailable
from rune_common.domain.events import EventDraft, append_event
from rune_common.domain.executions import AgentTask
from rune_common.domain.ports import RunRequest
from rune_common.domain.redaction import Redactor
from rune_common.domain.runs import LogHead, Run, RunKind, RunState
from rune_common.usecases.attempt_artifacts import keep_driver_artifacts
from rune_common.usecases.driver_artifacts import PNG, HandedOver, driver_artifacts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("outside")
    found = tmp_path / "output"
    (found / "deep").mkdir(parents=True)
    (found / "driver.log").write_text("hello")
    (found / "deep" / "report.md").write_text("# report")
    return found


def taken(folder, *items, secrets=()):
    return list(driver_artifacts({"artifacts": list(items)}, folder, redactor=Redactor(secrets)))


def test_files_of_the_folder_and_bytes_of_the_result_are_taken(folder):
    items = [
        {"kind": "log", "name": "driver.log", "path": str(folder / "driver.log")},
        {"kind": "report", "name": "report.md", "path": "deep/report.md"},
        {"kind": "screenshot", "name": "s.png", "content_base64": base64.b64encode(PNG + b"x").decode()},
    ]
    assert taken(folder, *items) == [
        HandedOver("log", "driver.log", b"hello"),
        HandedOver("report", "report.md", b"# report"),
        HandedOver("screenshot", "s.png", PNG + b"x"),
    ]


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../secret.txt", "deep/../../secret.txt", "missing", "deep", "", ".", "a\0b"]
)
def test_any_other_path_is_never_opened(folder, path):
    assert taken(folder, {"kind": "log", "name": "x", "path": path}) == []


def test_links_lead_nowhere(folder):
    (folder / "link").symlink_to(folder.parent / "secret.txt")
    (folder / "inside").symlink_to(folder / "driver.log")
    (folder / "up").symlink_to(folder.parent)
    os.link(folder.parent / "secret.txt", folder / "hard")
    for path in ("link", "inside", "up/secret.txt", "hard"):
        assert taken(folder, {"kind": "log", "name": "x", "path": path}) == []


def test_a_folder_that_was_replaced_by_a_link_is_not_followed(folder, tmp_path):
    elsewhere = tmp_path / "linked"
    elsewhere.symlink_to(folder)
    assert taken(elsewhere, {"kind": "log", "name": "x", "path": "driver.log"}) == []


def test_a_pipe_is_no_file_and_nobody_waits_for_it(folder):
    os.mkfifo(folder / "pipe")
    assert taken(folder, {"kind": "log", "name": "x", "path": "pipe"}) == []


@pytest.mark.parametrize(
    "kind", ["slsa_provenance", "sbom", "run_evidence", "sigstore_bundle", None, "screenshot"]
)
def test_a_driver_cannot_make_evidence_nor_call_text_a_picture(folder, kind):
    assert [each.kind for each in taken(folder, {"kind": kind, "name": "x", "path": "driver.log"})] == [
        "other"
    ]


def test_text_is_redacted_and_other_bytes_are_exact(folder):
    (folder / "driver.log").write_text("key is hunter2-hunter2 and ghp_" + "a" * 30)
    (folder / "image").write_bytes(b"\xff\xfehunter2-hunter2")
    text, raw = taken(
        folder,
        {"kind": "log", "name": "driver.log", "path": "driver.log"},
        {"kind": "other", "name": "image", "path": "image"},
        secrets=["hunter2-hunter2"],
    )
    assert text.content == b"key is [REDACTED:known_value] and [REDACTED:github_token]"
    assert raw.content == b"\xff\xfehunter2-hunter2"


@pytest.mark.parametrize(
    "artifacts", [None, "x", {}, [1, None, "x", {}, {"content_base64": "!"}, {"path": 7}]]
)
def test_nonsense_is_no_artifact(folder, artifacts):
    assert list(driver_artifacts({"artifacts": artifacts}, folder, redactor=Redactor())) == []


@dataclass
class Ports:
    runs: Any
    blobs: Any
    clock: Any


class Broken(MemoryBlobStore):
    def put(self, key: str, content: bytes) -> None:
        raise Unavailable("the bucket does not answer")


@pytest.mark.parametrize("blobs", [MemoryBlobStore(), Broken()])
def test_what_is_handed_over_enters_the_index_and_a_store_that_fails_costs_only_the_files(folder, blobs):
    runs, redactor = MemoryRunStore(), Redactor()
    head = LogHead("t", "r", 0, genesis("t", "r"))
    event, head = append_event(head, EventDraft("run_queued", {"summary": "1"}), now_ms=1, redactor=redactor)
    run = Run("t", "r", RunKind.AGENT, RunState.RUNNING, 1, 1, "me", head, attempt_id="a-1")
    runs.create(run, RunRequest({}), [event])
    ports = Ports(runs, blobs, lambda: 2)
    listed = [{"kind": "log", "name": f"{number}.log", "path": "driver.log"} for number in range(45)]
    ended = DriverSuccess({"answer": "x", "artifacts": listed})
    keep_driver_artifacts(AgentTask("t", "r", "a-1", "token"), ended, folder, ports, redactor)
    kept = [each.name for each in runs.artifacts("t", "r")]
    assert sorted(kept) == ([] if isinstance(blobs, Broken) else sorted(each["name"] for each in listed))
    added = [each for each in runs.events("t", "r").events if each.type == "artifact_added"]
    assert len(added) == len(kept)
    with pytest.raises(AttemptSuperseded):
        keep_driver_artifacts(
            AgentTask("t", "r", "a-0", "token"),
            ended,
            folder,
            Ports(runs, MemoryBlobStore(), lambda: 2),
            redactor,
        )
