"""Local mode, and which cluster goes along in both modes."""

from __future__ import annotations

import pytest
import yaml

from rune_common.domain.errors import BackendNotAllowed, FieldProblem, UnknownAgent

from .conftest import JOB, RESULT, event, record

RUN = "run-agentic-agent"
CLUSTER = {
    "current-context": "lab",
    "contexts": [{"name": "lab", "context": {"cluster": "c", "user": "u"}}],
    "clusters": [{"name": "c", "cluster": {"server": "https://cluster.test"}}],
    "users": [{"name": "u", "user": {"token": "cluster-secret"}}],
}


NOT_ALLOWED = BackendNotAllowed(FieldProblem("backend_url", "not_allowed", "is not allowed"))


def interrupt():
    raise KeyboardInterrupt


def test_debug_shows_requests_without_secrets(finished):
    finished.environ |= {"RUNE_API_TOKEN": "hunter2" * 5, "RUNE_KUBECONFIG": str(finished.folder / "config")}
    (finished.folder / "config").write_text(yaml.safe_dump(CLUSTER))
    ran = finished.http(RUN, "--debug")
    assert "> POST http://localhost:8080/v1/jobs/agentic-agent" in ran.err
    assert "< 202 in 0 ms" in ran.err
    assert "hunter2" not in ran.out + ran.err
    assert "cluster-secret" not in ran.out + ran.err
    assert "> POST" not in finished.http(RUN).err


def test_over_http_a_kubeconfig_is_sent_inline_when_given_and_never_by_default(finished):
    (finished.home / ".kube").mkdir()
    (finished.home / ".kube/config").write_text(yaml.safe_dump(CLUSTER))
    finished.http(RUN)
    assert "kubeconfig" not in finished.server.body()
    finished.server.records = [record("succeeded", result=RESULT)]
    assert finished.http(RUN, "--kubeconfig", "~/.kube/config").code == 0
    assert yaml.safe_load(finished.server.body()["kubeconfig"])["clusters"] == CLUSTER["clusters"]


def test_a_missing_kubeconfig_stops_before_anything_is_sent(world):
    ran = world.http(RUN, "--kubeconfig", "~/none")
    assert (ran.code, world.server.requests) == (1, [])
    assert "kubeconfig ~/none does not exist" in ran.err


def test_local_mode_runs_the_same_workflow_in_this_process(world):
    ran = world.run(RUN, "-q", "hi", "--json", "--idempotency-key", "k-1")
    assert ran.json == {"ok": True, "command": RUN, "job_id": JOB, "status": "succeeded", "result": RESULT}
    document, kubeconfig, key = world.local.submitted[0]
    assert (document["question"], kubeconfig, key) == ("hi", None, "k-1")
    assert world.server.requests == []
    assert (world.local.opened, world.local.closed) == (1, 1)


def test_local_and_http_show_the_same_answer(world):
    world.server.records = [record("succeeded", result=RESULT)]
    world.server.new_events = [[event(1, "job.queued"), event(2, "job.succeeded")]]
    assert world.run(RUN).out == world.http(RUN).out


def test_local_mode_takes_the_default_kubeconfig_along(world):
    (world.home / ".kube").mkdir()
    (world.home / ".kube/config").write_text(yaml.safe_dump(CLUSTER))
    world.run(RUN)
    assert yaml.safe_load(world.local.submitted[0][1])["current-context"] == "lab"


def test_the_local_stack_is_taken_down_after_ctrl_c(world):
    world.local.records = [record("running")]
    world.clock.at[1] = interrupt
    assert world.run(RUN).code == 130
    assert (world.local.cancelled, world.local.closed) == ([JOB], 1)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (NOT_ALLOWED, "backend_not_allowed", "backend_url is not allowed"),
        (UnknownAgent("agent", ("holmes",)), "unknown_agent", "available: holmes"),
    ],
)  # fmt: skip
def test_the_products_own_refusals_are_failures_of_the_command(world, error, code, text):
    world.local.failure = error
    ran = world.run(RUN, "--json")
    assert (ran.code, ran.json["code"]) == (1, code)
    assert text in ran.err


def test_a_bug_shows_no_traceback_without_debug(world):
    world.local.failure = ZeroDivisionError("inner detail")
    ran = world.run(RUN, "--json")
    assert (ran.code, ran.json["code"]) == (1, "internal")
    assert "Traceback" not in ran.err
    assert "inner detail" not in ran.out + ran.err
    ran = world.run(RUN, "--debug")
    assert ran.code == 1
    assert "Traceback" in ran.err
