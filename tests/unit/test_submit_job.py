"""The use case behind a submission: what is stored, and when nothing is (jobs-api.md 4.2 to 4.4, 5.2)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from rune_common.adapters.kubeconfig_yaml import YamlKubeconfigs
from rune_common.adapters.lazy_redactor import LazyRedactor
from rune_common.adapters.memory import MemoryBlobStore, MemoryRunStore
from rune_common.adapters.memory_spend import MemorySpendLedger
from rune_common.domain.access import Principal
from rune_common.domain.addresses import AddressPolicy
from rune_common.domain.canonical import canonical_json
from rune_common.domain.chain import verify_chain
from rune_common.domain.errors import (
    BackendNotAllowed,
    IdempotencyKeyReused,
    IdempotencyKeyTaken,
    Unavailable,
)
from rune_common.domain.job_requests import WorkRequest
from rune_common.domain.runs import RunKind, RunState
from rune_common.domain.setting_keys import BUILT_IN
from rune_common.usecases.plan_job import JobRules
from rune_common.usecases.read_job import read_job
from rune_common.usecases.submit_job import DAY_MS, Submission, submit_job

NOW = 1_760_000_000_000
CALLER = Principal("alice", "human", "default")
RULES = JobRules(
    max_active=10,
    retention_days=90,
    product_version="1.2.3",
    backends=AddressPolicy(("127.0.0.0/8",)),
    clusters=AddressPolicy(("127.0.0.0/8",)),
)
DEFAULTS = {**BUILT_IN, "model": "m:1", "backend_url": "http://127.0.0.1:11434"}
ASKED = WorkRequest(
    kind=RunKind.AGENT,
    question="why?",
    agent="sre:holmes",
    timeout_seconds=60,
)
KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:6443"}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
users: [{name: u, user: {token: kube-secret-token-0123456789}}]
current-context: x
"""


@pytest.fixture
def world():
    return World()


class World:
    def __init__(self) -> None:
        self.runs, self.blobs = MemoryRunStore(), MemoryBlobStore()
        self.kubeconfigs = YamlKubeconfigs()
        self.ids = iter(f"run-{n}" for n in range(100))

    def submit(
        self,
        asked=ASKED,
        *,
        key=None,
        body="h1",
        rules=RULES,
        defaults=DEFAULTS,
        caller=CALLER,
        resolve=None,
        now=NOW,
    ):
        return submit_job(
            Submission(asked.kind, asked, body, key),
            caller,
            rules=rules,
            defaults=defaults,
            spend=MemorySpendLedger(),
            runs=self.runs,
            blobs=self.blobs,
            kubeconfigs=self.kubeconfigs,
            clock=lambda: now,
            new_id=lambda: next(self.ids),
            redactor=LazyRedactor(),
            resolve=resolve,
        )

    def events(self, run_id="run-0"):
        return self.runs.events("default", run_id).events


def test_the_run_is_queued_with_a_log_that_verifies(world):
    submitted = world.submit()
    assert (submitted.run_id, submitted.replayed) == ("run-0", False)
    run = world.runs.get("default", "run-0")
    assert (run.kind, run.state, run.message) == (RunKind.AGENT, RunState.QUEUED, "accepted")
    assert (run.created_at, run.created_by, run.model, run.timeout_seconds) == (NOW, "alice", "m:1", 60)
    assert run.expires_at is None
    assert run.warnings == ("no_cluster_access",)
    assert run.head.sequence == len(world.events()) == 2
    assert verify_chain("default", "run-0", [event.body for event in world.events()]) == []


def test_the_first_event_tells_the_request_its_hash_and_the_version(world):
    world.submit()
    first = world.events()[0].document()
    assert first["type"] == "run_queued"
    payload = first["payload"]
    digest = hashlib.sha256(canonical_json(payload["request"])).hexdigest()
    assert (payload["request_sha256"], payload["product_version"]) == (digest, "1.2.3")
    assert payload["span"] == {"name": "job.queued", "status": "ok", "labels": {"kind": "agentic-agent"}}
    assert payload["request"] == world.runs.request("default", "run-0").document
    assert payload["request"]["requested_agent"] == "sre:holmes"
    assert payload["request"]["backend_url"] == "http://127.0.0.1:11434"


def test_the_model_server_of_the_request_wins(world):
    world.submit(replace(ASKED, backend_url="127.0.0.2:99/"))
    assert world.runs.request("default", "run-0").document["backend_url"] == "http://127.0.0.2:99"


def test_a_name_is_looked_up_and_every_address_checked(world):
    asked = replace(ASKED, backend_url="http://inside.example")
    with pytest.raises(BackendNotAllowed):
        world.submit(asked, resolve=lambda host, port: ["93.184.216.34", "10.0.0.1"])
    assert world.runs.get("default", "run-0") is None


def test_a_name_that_does_not_resolve_yet_is_no_error(world):
    def unknown(host, port):
        raise OSError

    world.submit(replace(ASKED, backend_url="http://later.example"), resolve=unknown)
    assert world.runs.request("default", "run-0").document["backend_url"] == "http://later.example"


def test_an_inline_kubeconfig_is_kept_apart_and_never_shown(world):
    world.submit(replace(ASKED, kubeconfig=KUBECONFIG))
    request = world.runs.request("default", "run-0")
    assert json.loads(request.secrets["kubeconfig"])["users"][0]["user"]["token"].startswith("kube-secret")
    assert request.document["require_cluster"] is True
    assert "kubeconfig" not in request.document
    job = read_job("run-0", CALLER, with_request=True, runs=world.runs, blobs=world.blobs)
    assert job.request["kubeconfig"] == "[REDACTED]"
    assert b"kube-secret" not in b"".join(event.body for event in world.events())
    assert world.runs.get("default", "run-0").warnings == ()


def test_a_path_is_ignored_with_a_warning_whether_it_exists_or_not(world, tmp_path):
    existing = tmp_path / "config"
    existing.write_text(KUBECONFIG)
    for path in (str(existing), "/etc/passwd", "/no/such/file", "~/.kube/config", "relative"):
        submitted = world.submit(replace(ASKED, kubeconfig=path))
        run = world.runs.get("default", submitted.run_id)
        assert run.warnings == ("kubeconfig_path_ignored", "no_cluster_access")
        assert world.runs.request("default", submitted.run_id).secrets == {}
        logged = b"".join(event.body for event in world.events(submitted.run_id))
        assert path.encode() not in logged


def test_a_file_inside_an_allowed_folder_is_read_and_checked(world, tmp_path):
    (tmp_path / "config").write_text(KUBECONFIG)
    world.kubeconfigs = YamlKubeconfigs([str(tmp_path)])
    world.submit(replace(ASKED, kubeconfig=str(tmp_path / "config")))
    assert "kubeconfig" in world.runs.request("default", "run-0").secrets


def test_a_secret_in_the_question_is_redacted_in_the_log_only(world):
    question = "why does password=hunter2hunter2 not work?"
    world.submit(replace(ASKED, question=question))
    assert world.runs.request("default", "run-0").document["question"] == question
    assert b"hunter2hunter2" not in world.events()[0].body
    assert world.runs.get("default", "run-0").redactions >= 1


def test_a_long_question_leaves_the_log_and_is_whole_when_read(world):
    question = "why? " * 19_999
    world.submit(replace(ASKED, question=question))
    assert len(world.events()[0].body) < 33 * 1024
    job = read_job("run-0", CALLER, with_request=True, runs=world.runs, blobs=world.blobs)
    assert job.request["question"] == question


def test_a_key_answers_with_the_first_job_until_it_expires(world):
    first = world.submit(key="k")
    again = world.submit(key="k", now=NOW + 90 * DAY_MS)
    assert (again.run_id, again.replayed) == (first.run_id, True)
    later = world.submit(key="k", now=NOW + 92 * DAY_MS)
    assert (later.run_id == first.run_id, later.replayed) == (False, False)


def test_a_replay_is_answered_even_if_the_request_would_now_be_refused(world):
    first = world.submit(key="k")
    closed = replace(RULES, backends=AddressPolicy((), allow_public=False), max_active=0)
    assert world.submit(key="k", rules=closed).run_id == first.run_id


def test_a_key_with_another_body_is_refused(world):
    world.submit(key="k")
    with pytest.raises(IdempotencyKeyReused):
        world.submit(key="k", body="h2")


class Raced(MemoryRunStore):
    """A store in which somebody else always takes the key between our look and our write."""

    winner = None

    def create(self, run, request, events, *, claim=None, max_active=None, chain=None):
        if self.winner and claim:
            super().create(replace(run, run_id="winner"), request, [], claim=replace(claim, run_id="winner"))
        if claim:
            raise IdempotencyKeyTaken


def test_the_loser_of_a_race_reads_the_winner(world):
    world.runs = Raced()
    world.runs.winner = True
    submitted = world.submit(key="k")
    assert (submitted.run_id, submitted.replayed) == ("winner", True)


def test_a_key_that_was_taken_and_is_gone_is_a_reason_to_try_again(world):
    world.runs = Raced()
    with pytest.raises(Unavailable):
        world.submit(key="k")
