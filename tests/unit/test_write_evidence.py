"""The evidence of an ended run (jobs-api.md 10; acceptance 27)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from rune_common.adapters.memory import MemoryBlobStore, MemoryRunStore
from rune_common.domain.artifact_events import artifact_added
from rune_common.domain.artifacts import make_artifact, plain_name
from rune_common.domain.canonical import canonical_json
from rune_common.domain.chain import genesis, verify_chain
from rune_common.domain.errors import Unavailable
from rune_common.domain.events import EventDraft, append_event
from rune_common.domain.evidence_documents import Product
from rune_common.domain.payloads import artifact_key
from rune_common.domain.ports import RunRequest
from rune_common.domain.redaction import Redactor
from rune_common.domain.runs import LogHead, Outcome, Run, RunKind, RunState
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.fit_draft import fit_draft
from rune_common.usecases.record_outcome import record_outcome
from rune_common.usecases.write_evidence import EvidenceWriter

NOW = 1_760_000_000_000
RESULT = {"answer": "/etc/passwd", "artifacts": [], "metadata": {"driver_version": "0.45.0"}, "score": 1.5}
NAMES = ["evidence.json", "provenance.intoto.json", "run.log", "sbom.cdx.json"]


class World:
    def __init__(self) -> None:
        self.runs, self.blobs, self.redactor = MemoryRunStore(), MemoryBlobStore(), Redactor()
        self.seal = EvidenceWriter(
            self.runs, self.blobs, lambda: NOW, Product("1.2.3", "here", "registry/agent@sha256:" + "a" * 64)
        )

    def start(self, kind=RunKind.AGENT, question="why?", **fields):
        head = LogHead("t", "r", 0, genesis("t", "r"))
        payload = {"summary": "accepted", "request": {"question": question}}
        draft = fit_draft(
            EventDraft("run_queued", payload), "t", "r", blobs=self.blobs, redactor=self.redactor
        )
        event, head = append_event(head, draft, now_ms=NOW, redactor=self.redactor)
        known = {"state": RunState.RUNNING, "model": "llama3.1:8b", "started_at": NOW}
        times = {"created_at": NOW, "updated_at": NOW, "created_by": "me", "head": head}
        run = Run("t", "r", kind, **(known | times | fields))
        self.runs.create(run, RunRequest({}), [event])

    def change(self, decide):
        return change_run("t", "r", decide, runs=self.runs, clock=lambda: NOW, redactor=self.redactor)

    def answer(self, result=None):
        outcome = Outcome(RunState.SUCCEEDED)
        self.change(
            lambda run: Proposal(
                replace(run, outcome=outcome, has_result=True), result=RESULT if result is None else result
            )
        )

    def end(self, error=None):
        ports = {"runs": self.runs, "clock": lambda: NOW, "redactor": self.redactor}
        record_outcome("t", "r", error=error, seal=self.seal, **ports)

    def files(self):
        return {
            each.name: self.blobs.get(artifact_key("t", "r", each.artifact_id))
            for each in self.runs.artifacts("t", "r")
        }

    def document(self, name):
        return json.loads(self.files()[name])

    def log(self):
        return list(self.runs.events("t", "r").events)


@pytest.fixture
def world() -> World:
    return World()


def test_the_files_are_written_with_the_end_and_their_digests_are_of_their_bytes(world):
    world.start()
    world.answer()
    world.end()
    artifacts = list(world.runs.artifacts("t", "r"))
    assert sorted(each.name for each in artifacts) == NAMES
    for each in artifacts:
        content = world.blobs.get(artifact_key("t", "r", each.artifact_id))
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (each.sha256, each.size_bytes)
    log = world.log()
    assert [event.type for event in log[-5:]] == ["artifact_added"] * 4 + ["run_completed"]
    assert log[-1].document()["payload"]["totals"]["artifacts"] == 4
    assert verify_chain("t", "r", [event.body for event in log]) == []


def test_the_result_names_the_files_and_the_provenance_is_of_the_rest_of_it(world):
    world.start()
    world.answer()
    world.end()
    result = world.runs.result("t", "r")
    assert sorted(item["name"] for item in result["artifacts"]) == NAMES
    assert all(
        item["download_url"] == f"/v1/audits/r/artifacts/{item['artifact_id']}"
        for item in result["artifacts"]
    )
    rest = {name: value for name, value in result.items() if name != "artifacts"}
    digest = hashlib.sha256(canonical_json(rest)).hexdigest()
    statement = world.document("provenance.intoto.json")
    assert statement["subject"] == [{"name": "result.json", "digest": {"sha256": digest}}]
    assert world.document("evidence.json")["result_sha256"] == digest


def test_the_provenance_names_what_the_answer_was_made_of(world):
    world.start()
    labels = {"model_digest": "sha256:" + "b" * 64, "offer_id": 7, "machine_id": 9}
    span = {"name": "backend.wait_ready", "status": "ok", "labels": labels}
    world.change(lambda run: Proposal(run, [EventDraft("run_progress", {"summary": "ready", "span": span})]))
    world.answer()
    world.end()
    predicate = world.document("provenance.intoto.json")["predicate"]
    build = predicate["buildDefinition"]
    assert (build["buildType"], build["externalParameters"]) == ("agentic-agent", {"question": "why?"})
    assert [(each["name"], each.get("digest")) for each in build["resolvedDependencies"]] == [
        ("driver", {"sha256": "a" * 64}),
        ("model", {"sha256": "b" * 64}),
        ("offer", None),
        ("machine", None),
    ]
    metadata = predicate["runDetails"]["metadata"]
    assert metadata["invocationId"] == "r"
    assert metadata["startedOn"] == metadata["finishedOn"] == "2025-10-09T08:53:20.000Z"


def test_the_bill_of_materials_has_the_shape_of_its_standard(world):
    world.start()
    world.answer()
    world.end()
    bom = world.document("sbom.cdx.json")
    assert (bom["bomFormat"], bom["specVersion"], bom["version"]) == ("CycloneDX", "1.6", 1)
    assert [(each["type"], each["name"], each["version"]) for each in bom["components"]] == [
        ("application", "holmesgpt", "0.45.0"),
        ("machine-learning-model", "llama3.1", "8b"),
    ]
    references = {each["bom-ref"] for each in (*bom["components"], bom["metadata"]["component"])}
    assert {each["ref"] for each in bom["dependencies"]} == references


def test_evidence_tells_where_the_log_stood(world):
    world.start()
    world.answer()
    before = world.runs.get("t", "r").head
    world.end()
    evidence = world.document("evidence.json")
    assert (evidence["event_count"], evidence["head_hash"]) == (before.sequence, before.last_hash)
    assert evidence["status"] == "succeeded"


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.CANCELLING, RunState.QUEUED])
def test_failed_and_cancelled_runs_have_evidence_too(world, state):
    world.start(state=state)
    world.end(error="Rune.Permanent")
    assert sorted(world.files()) == NAMES
    assert world.document("provenance.intoto.json")["subject"][0]["digest"] == {
        "sha256": hashlib.sha256(b"{}").hexdigest()
    }


def test_other_kinds_have_none(world):
    world.start(kind=RunKind.COST_ESTIMATE)
    world.answer()
    world.end()
    assert world.files() == {}


def test_ending_twice_writes_once(world):
    world.start()
    world.answer()
    world.end()
    first = world.files()
    world.end()
    assert world.files() == first


def test_evidence_that_cannot_be_stored_does_not_keep_the_run_from_ending(world, caplog):
    class Broken(MemoryBlobStore):
        def put(self, key, content):
            raise Unavailable("the bucket does not answer")

    world.seal = replace(world.seal, blobs=Broken())
    world.start()
    world.answer()
    world.end()
    run = world.runs.get("t", "r")
    assert (run.state, run.warnings) == (RunState.SUCCEEDED, ("evidence_not_written",))
    assert world.log()[-1].document()["payload"]["totals"]["artifacts"] == 0
    assert "could not be written" in caplog.text


def test_what_left_the_log_and_what_the_driver_left_are_counted_with_the_rest(world):
    world.start(question="q" * 40_000)
    driver_log = b"the driver's own words\n"
    kept = make_artifact("log", "driver.log", driver_log, now_ms=NOW)
    world.blobs.put(artifact_key("t", "r", kept.artifact_id), driver_log)
    large = fit_draft(
        EventDraft("narrative", {"summary": "long", "text": "x" * 40_000}),
        "t",
        "r",
        blobs=world.blobs,
        redactor=world.redactor,
    )
    world.change(lambda run: Proposal(run, [artifact_added(kept), large]))
    world.answer()
    world.end()
    files = world.files()
    assert len(files) == 4 + 3
    assert b"x" * 40_000 in files.values()
    assert b"q" * 40_000 in files.values()
    assert world.log()[-1].document()["payload"]["totals"]["artifacts"] == 7
    text = files["run.log"].decode()
    assert "the driver's own words" in text
    assert "run_queued" in text
    assert all(each.created_at for each in world.runs.artifacts("t", "r"))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("driver.log", "driver.log"),
        ("../../etc/passwd", "passwd"),
        ("..", "artifact"),
        ("", "artifact"),
        ('a"b\r\nc.txt', "a_b_c.txt"),
        ("C:\\x\\report.md", "report.md"),
        ("x" * 500, "x" * 120),
    ],
)
def test_a_drivers_name_becomes_a_plain_one(given, name):
    assert plain_name(given) == name
