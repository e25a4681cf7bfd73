from __future__ import annotations

import httpx
import pytest

from .conftest import JOB, RESULT, event, record


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("get", JOB),
        ("cancel", JOB),
        ("events", JOB),
        ("logs", JOB),
        ("artifacts", JOB),
        ("download", JOB, "run.log"),
    ],
    ids=lambda a: a[0],
)
def test_without_a_server_the_jobs_commands_are_usage_errors_with_a_hint(world, arguments):
    ran = world.run("jobs", *arguments)
    assert ran.code == 2
    assert "--backend http" in ran.err
    assert world.server.requests == []


def test_list_shows_a_table_and_how_to_go_on(world):
    world.server.jobs = {"jobs": [record("failed", message="worker lost")], "next_cursor": "c-2"}
    ran = world.http("jobs", "list", "--limit", "1", "--status", "failed", "--order", "asc")
    assert ran.code == 0
    assert all(
        text in ran.out for text in (JOB, "agentic-agent", "failed", "2023-11-14 22:13:20 UTC", "worker lost")
    )
    assert "--cursor c-2" in ran.err
    assert dict(world.server.requests[0].url.params) == {"limit": "1", "status": "failed", "order": "asc"}


def test_an_empty_list_says_so_on_stderr(world):
    ran = world.http("jobs", "list")
    assert (ran.code, ran.out, ran.err) == (0, "", "No jobs.\n")


def test_list_as_json_is_the_page(world):
    world.server.jobs = {"jobs": [record("running")], "next_cursor": None}
    ran = world.http("--json", "jobs", "list")
    assert ran.json == {"ok": True, "command": "jobs list", "result": world.server.jobs}


def test_get_shows_facts_and_answer(world):
    world.server.records = [
        record("succeeded", message="job completed", result=RESULT, finished_at=1.7e9 + 1)
    ]
    world.server.events = [event(1, "agent.ask", duration_ms=5)]
    ran = world.http("jobs", "get", JOB)
    assert f"Job:       {JOB}\n" in ran.out
    assert "Finished:  2023-11-14 22:13:21 UTC\n" in ran.out
    assert "Agent Answer (report)\nThe pod web-1" in ran.out
    assert "agent.ask" in ran.out


def test_get_of_a_failed_job_succeeds_because_the_job_was_found(world):
    world.server.records = [record("failed", error="worker lost", error_code="worker_lost")]
    ran = world.http("jobs", "get", JOB)
    assert ran.code == 0
    assert "Error:     worker_lost" in ran.out
    assert world.http("--json", "jobs", "get", JOB).json["result"] == world.server.records[0]


def test_an_unknown_job_is_exit_code_one(world):
    ran = world.http("jobs", "get", "nope", "--json")
    assert (ran.code, ran.json["code"]) == (1, "not_found")
    assert "job not found" in ran.json["error"]


def test_cancel_says_what_the_server_said(world):
    world.server.records = [record("running")]
    ran = world.http("jobs", "cancel", JOB)
    assert (ran.code, ran.out) == (0, f"{JOB}: cancelling\n")
    refusal = {"error": "job already finished", "code": "job_not_cancellable"}
    world.server.failures = [httpx.Response(409, json=refusal)]
    ran = world.http("jobs", "cancel", JOB)
    assert ran.code == 1
    assert "job already finished" in ran.err


def test_events_are_a_table_from_where_one_asks(world):
    world.server.events = [
        event(1, "job.queued"),
        event(7, "agent.ask", duration_ms=812.4, message="agent answered"),
    ]
    ran = world.http("jobs", "events", JOB, "--after", "1")
    assert "agent.ask" in ran.out
    assert "812" in ran.out
    assert "job.queued" not in ran.out
    ran = world.http("jobs", "events", JOB, "--json")
    assert ran.json["result"] == {"job_id": JOB, "events": world.server.events}


def test_logs_follow_to_the_terminal_event_and_ask_only_for_what_is_new(world):
    world.server.records = [record("running")]
    world.server.new_events = [
        [event(1, "job.queued")],
        [event(4, "agent.tool_call", labels={"tool": "kubectl_get"}, duration_ms=12)],
        [],
        [event(6, "job.succeeded")],
    ]
    ran = world.http("jobs", "logs", JOB)
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "2023-11-14 22:13:20 UTC  job.queued  ok",
        "2023-11-14 22:13:20 UTC  agent.tool_call  ok  12 ms  kubectl_get",
        "2023-11-14 22:13:20 UTC  job.succeeded  ok",
    ]
    asked = [r.headers.get("Last-Event-ID") for r in world.server.requests if r.url.path.endswith("/trace")]
    assert asked == [None, "1", "4", "4"]


def test_logs_go_on_after_a_lost_connection_without_repeating_a_line(world):
    world.server.records = [record("running")]
    world.server.new_events = [[event(1, "job.queued")], [event(2, "job.failed", status="error")]]
    world.clock.at[1] = lambda: world.server.failures.extend([httpx.ReadError("cut"), httpx.Response(503)])
    ran = world.http("jobs", "logs", JOB)
    assert ran.code == 0
    assert [line.split("  ")[1] for line in ran.out.splitlines()] == ["job.queued", "job.failed"]
    assert world.clock.slept == [0.5, 1.0, 2.0]


def test_logs_give_up_when_the_server_stays_away(world):
    world.server.failures = [httpx.ConnectError("gone") for _ in range(100)]
    ran = world.http("jobs", "logs", JOB, "--json")
    assert (ran.code, ran.json["code"]) == (1, "server_unreachable")
    assert sum(world.clock.slept) <= 60


def test_logs_of_an_unknown_job_are_refused_at_once(world):
    ran = world.http("jobs", "logs", "nope")
    assert (ran.code, len(world.server.requests)) == (1, 1)
    assert "job not found" in ran.err


def test_logs_end_with_the_jobs_status(world):
    world.server.records = [record("succeeded", result=RESULT)]
    world.server.events = [event(1, "job.queued"), event(2, "job.succeeded")]
    ran = world.http("jobs", "logs", JOB, "--json")
    assert ran.json["status"] == "succeeded"
    assert ran.json["result"]["events"] == world.server.events
    assert "job.queued" in ran.err


def test_artifacts_are_a_table(world):
    assert world.http("jobs", "artifacts", JOB).err == "No artifacts.\n"
    world.server.files = {"run.log": b"text"}
    ran = world.http("jobs", "artifacts", JOB)
    assert all(text in ran.out for text in ("a-run.log", "log", "run.log", "4"))
    found = world.http("jobs", "artifacts", JOB, "--json").json["result"]
    assert found == {"job_id": JOB, "artifacts": world.server.artifacts()}


@pytest.mark.parametrize("wanted", ["run.log", "a-run.log"])
def test_download_puts_a_file_under_its_own_name_by_id_or_name(world, wanted):
    world.server.files = {"run.log": b"text"}
    ran = world.http("jobs", "download", JOB, wanted)
    assert ran.code == 0
    assert (world.folder / "run.log").read_bytes() == b"text"
    assert [path.name for path in world.folder.iterdir()] == ["run.log"]


def test_download_does_not_replace_a_file(world):
    world.server.files = {"run.log": b"new"}
    (world.folder / "run.log").write_bytes(b"old")
    ran = world.http("jobs", "download", JOB, "run.log", "--json")
    assert (ran.code, ran.json["code"]) == (1, "file_exists")
    assert (world.folder / "run.log").read_bytes() == b"old"
    elsewhere = world.http("jobs", "download", JOB, "run.log", "--output", "other.log")
    assert elsewhere.code == 0
    assert (world.folder / "other.log").read_bytes() == b"new"


def test_a_download_with_another_digest_is_not_kept(world, monkeypatch):
    listed = [{"artifact_id": "a-run.log", "name": "run.log", "sha256": "0" * 64}]
    world.server.files = {"run.log": b"changed"}
    monkeypatch.setattr(world.server, "artifacts", lambda: listed)
    ran = world.http("jobs", "download", JOB, "run.log", "--json")
    assert (ran.code, ran.json["code"]) == (1, "digest_mismatch")
    assert list(world.folder.iterdir()) == []


def test_a_name_from_the_server_is_no_path(world):
    world.server.files = {"..evil": b"x"}
    assert world.http("jobs", "download", JOB, "a-..evil").code == 0
    assert [path.name for path in world.folder.iterdir()] == ["artifact"]


def test_an_artifact_that_is_not_there_is_exit_code_one(world):
    ran = world.http("jobs", "download", JOB, "nope", "--json")
    assert (ran.code, ran.json["code"]) == (1, "not_found")


def test_ctrl_c_ends_following_and_cancels_nothing(world):
    world.server.records = [record("running")]

    def interrupt():
        raise KeyboardInterrupt

    world.clock.at[2] = interrupt
    ran = world.http("jobs", "logs", JOB, "--json")
    assert (ran.code, ran.json["code"]) == (130, "interrupted")
    assert world.server.of("DELETE") == []


def test_an_order_that_does_not_exist_is_a_usage_error(world):
    assert world.http("jobs", "list", "--order", "sideways").code == 2
    assert world.server.requests == []


def test_events_of_an_odd_server_do_not_break_the_table(world):
    world.server.events = [
        {"seq": 1, "name": "agent.ask", "labels": None, "duration_ms": None, "recorded_at": "x"}
    ]
    assert "agent.ask" in world.http("jobs", "events", JOB).out
