"""Runs of kind `command` over HTTP, before any worker sees them (runs-api.md 2.2, 2.3, 5.1)."""

from __future__ import annotations

import json

import pytest

from rune_common.usecases.plan_command import HIDDEN


async def test_a_command_is_queued_without_the_values_of_its_environment(client):
    asked = {
        "run": "deploy",
        "env": {"DEPLOY_TOKEN": "hunter2hunter2", "PLACE": "here"},
        "timeout_seconds": 7200,
    }
    answer = await client.post("/api/v1/runs", json={"command": asked, "shape": 1})
    assert answer.status_code == 201, answer.text
    status = answer.json()
    assert (status["kind"], status["status"], status["change_set"]) == ("command", "queued", None)
    listed = await client.get(f"/api/v1/runs/{status['run_id']}/events/list")
    assert "hunter2" not in listed.text
    request = listed.json()["events"][0]["payload"]["request"]
    assert request["command"]["run"] == "deploy"
    assert request["command"]["env"]["PLACE"] == HIDDEN
    assert request["timeout_seconds"] == 7260


async def test_a_command_has_the_time_that_its_run_was_given(client):
    answer = await client.post("/api/v1/runs", json={"command": {"run": "x"}, "timeout_seconds": 20})
    listed = await client.get(f"/api/v1/runs/{answer.json()['run_id']}/events/list")
    assert listed.json()["events"][0]["payload"]["request"]["timeout_seconds"] == 20


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"command": {"run": "x"}, "repo": "owner/name"}, "repo"),
        ({"command": {"run": "x"}, "mode": "advice"}, "mode"),
        ({"kind": "command"}, "command"),
        ({"command": {"run": 1}}, "command.run"),
        ({"command": {"argv": "ls"}}, "command.argv"),
        ({"command": {"run": "x", "env": {"A": 1}}}, "command.env.A"),
    ],
)
async def test_what_cannot_be_run_is_refused_with_its_field(client, body, path):
    answer = await client.post("/api/v1/runs", json=body)
    assert answer.status_code == 400
    assert path in [each["path"] for each in answer.json()["error"]["details"]["fields"]]
    assert json.dumps(body) not in answer.text


@pytest.mark.parametrize("prefix", ["/api/v1/runs", "/api/v1/runtime/runs"])
async def test_the_terminal_answers_a_request_without_upgrade(client, prefix):
    answer = await client.get(f"{prefix}/r/terminal")
    assert (answer.status_code, answer.json()["error"]["code"]) == (426, "UPGRADE_REQUIRED")


async def test_a_deployed_stack_runs_no_commands_with_the_rights_of_its_worker(build_services, open_client):
    async with open_client(build_services(env="dev")) as client:
        answer = await client.post("/api/v1/runs", json={"command": {"run": "x"}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "KIND_DISABLED")
