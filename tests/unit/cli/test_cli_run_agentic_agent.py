from __future__ import annotations

import re

import httpx
import pytest

from .conftest import JOB, RESULT, event, record

RUN = "run-agentic-agent"
CLUSTER = {
    "current-context": "lab",
    "contexts": [{"name": "lab", "context": {"cluster": "c", "user": "u"}}],
    "clusters": [{"name": "c", "cluster": {"server": "https://cluster.test"}}],
    "users": [{"name": "u", "user": {"token": "cluster-secret"}}],
}


def test_the_answer_comes_on_stdout_and_what_led_to_it_on_stderr(finished):
    ran = finished.http(RUN, "-q", "what is wrong?", "--backend-url", "http://ollama.test:11434")
    assert ran.code == 0
    assert ran.out.startswith(
        "Agent Answer (report)\nThe pod web-1 cannot pull its image.\n\nArtifacts (1)\n"
    )
    assert "  log  driver.log  a-1  1,234 bytes" in ran.out
    assert "Workflow Lifecycle Metrics" in ran.out
    assert ran.out.endswith("Tokens: 1,234 (1,200 prompt, 34 completion) · Cost: unpriced\n")
    assert "what is wrong?" in ran.err
    assert f"job {JOB}" in ran.err
    assert "  • agent.tool_call  kubernetes_count  ok  210 ms" in ran.err
    assert "  ✗ agent.tool_call  fetch_pod_logs  error  30 ms" in ran.err
    assert "✓ asking agent  4.0 s" in ran.err
    assert "✓ job completed" in ran.err
    assert "warning: the agent had no access to a cluster" in ran.err
    assert finished.clock.slept == [2.0, 2.0, 2.0]


def test_steps_appear_while_the_job_runs_not_after_it(finished):
    seen = []
    finished.clock.at[2] = lambda: seen.append(len(finished.server.events))
    ran = finished.http(RUN)
    assert seen == [2]
    lines = ran.err.splitlines()
    steps = [number for number, line in enumerate(lines) if "agent.tool_call" in line]
    end = next(number for number, line in enumerate(lines) if "asking agent  4.0 s" in line)
    assert all(number < end for number in steps)


def test_a_phase_with_a_percentage_is_one_phase_and_each_change_one_line(world):
    messages = ["pulling model (7 %)", "pulling model (7 %)", "pulling model (42 %)"]
    world.server.records = [record("running", message=message) for message in messages]
    world.server.records.append(record("succeeded", result=RESULT))
    lines = world.http(RUN).err.splitlines()
    assert [line for line in lines if "pulling" in line] == [
        "… pulling model (7 %)",
        "… pulling model (42 %)",
        "✓ pulling model  6.0 s",
    ]


def test_a_tools_own_word_for_its_outcome_is_shown(world):
    labels = {"tool": "fetch_pod_logs", "status": "no_data"}
    world.server.records = [record("succeeded", result=RESULT)]
    world.server.events = [
        event(3, "agent.tool_call", labels=labels),
        event(4, "job.warning", labels={"code": "x"}),
    ]
    err = world.http(RUN).err
    assert "  • agent.tool_call  fetch_pod_logs  no_data" in err
    assert "  • job.warning  x  ok" in err


def test_the_metrics_count_each_event_and_its_times(finished):
    out = finished.http(RUN).out
    row = next(line for line in out.splitlines() if "agent.tool_call" in line)
    assert re.findall(r"[\w.–]+", row) == ["agent.tool_call", "2", "1", "1", "120", "30", "210"]
    row = next(line for line in out.splitlines() if "job.queued" in line)
    assert re.findall(r"[\w.–]+", row) == ["job.queued", "1", "1", "0", "–", "–", "–"]


def test_the_request_holds_what_the_options_say_under_their_old_and_new_names(finished):
    finished.http(RUN, "-q", "hi", "-m", "qwen3:8b", "--no-ollama-warmup", "--ollama-warmup-timeout", "7",
                  "--timeout", "60", "--max-cost-usd", "1.5", "--backend-type", "vllm", "--agent", "holmes",
                  "--idempotency-key", "k-1", "-y")  # fmt: skip
    assert finished.server.body() == {
        "question": "hi",
        "model": "qwen3:8b",
        "agent": "holmes",
        "backend_type": "vllm",
        "backend_warmup": False,
        "backend_warmup_timeout": 7,
        "timeout_seconds": 60,
        "max_cost_usd": 1.5,
    }
    assert finished.server.of("POST")[0].headers["Idempotency-Key"] == "k-1"


def test_without_options_the_built_in_values_are_asked_for(finished):
    finished.http(RUN)
    assert finished.server.body() == {
        "question": "What is unhealthy in this Kubernetes cluster?",
        "model": "llama3.1:8b",
        "agent": "holmes",
        "backend_type": "ollama",
        "backend_warmup": True,
        "backend_warmup_timeout": 90,
        "timeout_seconds": 3600,
    }


def test_json_is_exactly_one_object_on_stdout(finished):
    ran = finished.http("--json", RUN)
    assert ran.json == {"ok": True, "command": RUN, "job_id": JOB, "status": "succeeded", "result": RESULT}
    assert ran.out.count("\n") == 1
    assert "agent.tool_call" in ran.err


def test_json_may_stand_after_the_command(finished):
    assert finished.http(RUN, "--json").json["ok"] is True


@pytest.mark.parametrize("word", ["failed", "error", "cancelled", "canceled"])
def test_a_job_that_does_not_succeed_is_exit_code_one_with_its_error(world, word):
    world.server.records = [
        record(word, error="worker lost", error_code="worker_lost", result={"answer": "half"})
    ]
    ran = world.http(RUN)
    assert (ran.code, ran.out) == (1, "")
    assert f"Error: Job {JOB} failed: worker lost" in ran.err
    assert world.http(RUN, "--json").json == {
        "ok": False,
        "command": RUN,
        "job_id": JOB,
        "status": word,
        "result": {"answer": "half"},
        "error": f"Job {JOB} failed: worker lost",
        "code": "worker_lost",
    }


@pytest.mark.parametrize("word", ["succeeded", "success", "completed"])
def test_each_word_for_success_is_one(world, word):
    world.server.records = [record(word, result=RESULT)]
    assert world.http(RUN).code == 0


@pytest.mark.parametrize("result", [None, {}, {"answer": "  \n"}])
def test_success_without_an_answer_is_a_failure(world, result):
    world.server.records = [record("succeeded", **({} if result is None else {"result": result}))]
    ran = world.http(RUN, "--json")
    assert (ran.code, ran.json["code"]) == (1, "empty_answer")


@pytest.mark.parametrize(
    ("telemetry", "shown"),
    [
        ({"cost_usd": 0.0123456789}, "$0.012346"),
        ({"cost_usd": 1.5}, "$1.50"),
        ({"cost_usd": 0.0}, "$0.00"),
        ({"cost_usd": None}, "unpriced"),
        ({"cost_usd": 0.0, "unpriced": True}, "unpriced"),
        ({}, "unpriced"),
    ],
)
def test_an_unknown_cost_is_never_zero(world, telemetry, shown):
    world.server.records = [record("succeeded", result=RESULT | {"telemetry": telemetry, "token_usage": {}})]
    assert world.http(RUN).out.endswith(f"Tokens: unknown · Cost: {shown}\n")


def test_an_answer_cannot_steer_the_terminal(world):
    answer = "clean \x1b]0;title\x07\x1b[2Jtext\x9b31m [bold]not markup[/bold]"
    world.server.records = [record("succeeded", message="\x1b[2J", result=RESULT | {"answer": answer})]
    for terminal in (False, True):
        ran = world.http(RUN, terminal=terminal)
        assert "\x1b[2J" not in ran.out + ran.err
        assert "\x1b]0;" not in ran.out
        assert "\x9b" not in ran.out
        assert "[bold]not markup[/bold]" in ran.out


def test_a_terminal_gets_colours_and_a_spinner_unless_no_color_is_set(finished):
    finished.environ["TERM"] = "xterm-256color"
    ran = finished.http(RUN, terminal=True)
    assert "asking agent · " in ran.err
    assert re.search(r"\x1b\[[\d;]*3[12]m", ran.err)
    finished.environ["NO_COLOR"] = "1"
    finished.server.records = [record("succeeded", result=RESULT)]
    ran = finished.http(RUN, terminal=True)
    assert not re.search(r"\x1b\[[\d;]*[34][0-9]m", ran.out + ran.err)


def test_no_wait_prints_the_id_and_stops(world):
    ran = world.http(RUN, "--no-wait")
    assert (ran.code, ran.out) == (0, f"{JOB}\n")
    assert [request.method for request in world.server.requests] == ["POST"]
    ran = world.http(RUN, "--no-wait", "--json")
    assert ran.json == {"ok": True, "command": RUN, "job_id": JOB, "status": "accepted"}
    assert world.run(RUN, "--no-wait").code == 2


def test_a_refused_request_is_exit_code_one_with_the_servers_words(world):
    body = {"error": "Unknown agent. Available: holmes", "code": "unknown_agent"}
    world.server.failures = [httpx.Response(400, json=body)]
    ran = world.http(RUN, "--json", "--agent", "x")
    assert (ran.code, ran.json["code"]) == (1, "unknown_agent")
    assert "Unknown agent. Available: holmes" in ran.json["error"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--timeout", "9"),
        ("--timeout", "14401"),
        ("--max-cost-usd", "0"),
        ("--max-cost-usd", "nan"),
        ("--backend-warmup-timeout", "0"),
        ("--idempotency-key", "with space"),
        ("--idempotency-key", "k" * 256),
        ("--no-such-option",),
        ("surplus",),
    ],
)
def test_a_command_line_that_does_not_fit_is_exit_code_two_and_sends_nothing(world, arguments):
    ran = world.http(RUN, "--json", *arguments)
    assert (ran.code, ran.json["ok"], ran.json["code"]) == (2, False, "usage")
    assert world.server.requests == []
