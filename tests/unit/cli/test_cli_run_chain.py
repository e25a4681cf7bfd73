"""`run-chain`: what is sent, what is shown, and how it ends (jobs-api.md 15)."""

from __future__ import annotations

import json

import pytest
import yaml

from .conftest import JOB, RESULT, World, event, record

STEPS = [
    {"name": "find", "question_template": "what is wrong?"},
    {"name": "explain", "question": "explain {find}", "depends_on": ["find"]},
]
CHAIN_RESULT = {
    **RESULT,
    "overall_status": "success",
    "steps": {"find": {"status": "success", "answer": "x"}, "explain": {"status": "success", "answer": "y"}},
}


@pytest.fixture
def chained(world: World) -> World:
    """A world with a file `chain.yaml` and a server on which it succeeds."""
    (world.folder / "chain.yaml").write_text(yaml.safe_dump({"steps": STEPS, "context": {"who": "me"}}))
    world.server.records = [record("running"), record("succeeded", result=CHAIN_RESULT)]
    ended = [
        event(number, "chain.step", labels={"step": step["name"], "status": "success"}, duration_ms=5)
        for number, step in enumerate(STEPS, 1)
    ]
    world.server.new_events = [ended]
    return world


def test_the_file_is_sent_as_it_is_and_each_steps_end_is_shown(chained: World) -> None:
    ran = chained.http("run-chain", "chain.yaml", "--model", "m:1")
    assert ran.code == 0, ran.err
    assert chained.server.of("POST")[-1].url.path == "/v1/jobs/chain"
    body = chained.server.body()
    assert (body["steps"], body["context"], body["model"]) == (STEPS, {"who": "me"}, "m:1")
    assert body["timeout_seconds"] == 3600
    assert "question" not in body
    assert "  • chain.step  find  success  5.0 ms" in ran.err
    assert "find, explain" in ran.err
    assert ran.out.startswith("Agent Answer")


def test_an_option_counts_more_than_the_file_and_the_file_more_than_the_environment(world: World) -> None:
    chain = {"steps": STEPS, "model": "file", "backend_url": "http://file.test", "timeout_seconds": 60}
    (world.folder / "chain.json").write_text(json.dumps(chain))
    world.environ |= {"RUNE_MODEL": "environment", "RUNE_BACKEND_URL": "http://environment.test"}
    world.server.records = [record("succeeded", result=CHAIN_RESULT)]
    world.http("run-chain", "chain.json", "--backend-url", "http://option.test")
    body = world.server.body()
    assert (body["model"], body["backend_url"], body["timeout_seconds"]) == ("file", "http://option.test", 60)


def test_a_failed_chain_shows_what_its_steps_came_to(chained: World) -> None:
    steps = {"find": {"status": "failed", "error": "Agent error: broke"}, "explain": {"status": "skipped"}}
    failed = {**CHAIN_RESULT, "steps": steps, "overall_status": "failed"}
    chained.server.records = [
        record("failed", error="a step of the chain failed", error_code="chain_failed", result=failed)
    ]
    ran = chained.http("run-chain", "chain.yaml")
    assert ran.code == 1
    assert f"Job {JOB} failed: a step of the chain failed" in ran.err
    assert "Agent error: broke" in ran.err
    assert "skipped" in ran.err
    answer = chained.http("run-chain", "chain.yaml", "--json").json
    assert (answer["ok"], answer["code"], answer["result"]["steps"]) == (False, "chain_failed", steps)


def test_in_local_mode_the_session_gets_a_chain(chained: World) -> None:
    chained.local.records = [record("succeeded", result=CHAIN_RESULT)]
    ran = chained.run("run-chain", "chain.yaml", "--json")
    assert (ran.code, ran.json["status"]) == (0, "succeeded")
    assert chained.local.kinds == ["chain"]
    assert chained.local.submitted[0][0]["steps"] == STEPS


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "file_not_readable"),
        ("- a list", "invalid_file"),
        ("{", "invalid_file"),
        (b"\xff\xfe", "invalid_file"),
    ],
)
def test_a_file_that_holds_no_chain_is_refused_before_anything_is_sent(
    world: World, content: str | bytes | None, code: str
) -> None:
    if content is not None:
        (world.folder / "chain.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    ran = world.http("run-chain", "chain.yaml", "--json")
    assert (ran.code, ran.json["code"]) == (1, code)
    assert world.server.requests == []
