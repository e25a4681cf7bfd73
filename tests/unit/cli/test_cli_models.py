"""`vastai-list-models`, `ollama-list-models` and `llm-list-models` (jobs-api.md 15; acceptance 31)."""

from __future__ import annotations

import httpx
import pytest

CATALOG = {"models": [{"name": "llama3.1:8b", "vram_mb": 8000, "required_disk_gb": 41}]}
URL = "http://127.0.0.1:11434"
LISTED = {
    "backend_url": URL,
    "backend_type": "ollama",
    "models": ["a:1b", "b:1b"],
    "running_models": ["b:1b", "gone:1b"],
}


def answers(world, document):
    world.server.failures = [httpx.Response(200, json=document)]


def test_the_catalog_of_a_server_is_a_table(world):
    answers(world, CATALOG)
    ran = world.http("vastai-list-models")
    assert ran.code == 0
    assert all(text in ran.out for text in ("Model", "VRAM (MB)", "llama3.1:8b", "8,000", "41"))
    assert world.server.requests[0].url.path == "/v1/catalog/vastai-models"


def test_without_a_server_the_catalog_is_the_products_own(world):
    ran = world.run("vastai-list-models", "--json")
    assert ran.code == 0
    assert ran.json["command"] == "vastai-list-models"
    assert len(ran.json["result"]["models"]) == 8
    assert CATALOG["models"][0] in ran.json["result"]["models"]
    assert (world.server.requests, world.local.opened) == ([], 0)


@pytest.mark.parametrize("command", ["ollama-list-models", "llm-list-models"])
def test_the_models_of_a_model_server_are_a_table(world, command):
    answers(world, LISTED)
    ran = world.http(command, "--backend-url", URL)
    assert ran.code == 0
    rows = [[cell.strip() for cell in line.split("│")[1:3]] for line in ran.out.splitlines() if "1b" in line]
    assert rows == [["a:1b", ""], ["b:1b", "yes"], ["gone:1b", "yes"]]
    request = world.server.requests[0]
    assert request.url.path == "/v1/llm/models"
    assert dict(request.url.params) == {"backend_url": URL, "backend_type": "ollama"}


@pytest.mark.parametrize("command", ["ollama-list-models", "llm-list-models"])
def test_as_json_it_is_the_servers_answer_under_the_commands_own_name(world, command):
    answers(world, LISTED)
    ran = world.http(command, "--backend-url", URL, "--json")
    assert ran.json == {"ok": True, "command": command, "result": LISTED}


def test_address_and_type_come_from_the_environment_as_well(world):
    world.environ |= {"RUNE_BACKEND_URL": URL, "RUNE_BACKEND_TYPE": "openai"}
    answers(world, LISTED | {"models": [], "running_models": []})
    ran = world.http("llm-list-models")
    assert (ran.code, ran.out) == (0, "")
    assert "No models." in ran.err
    assert dict(world.server.requests[0].url.params) == {"backend_url": URL, "backend_type": "openai"}


@pytest.mark.parametrize("mode", ["local", "http"])
def test_the_address_is_required(world, mode):
    ran = world.run("--backend", mode, "ollama-list-models")
    assert ran.code == 2
    assert "--backend-url" in ran.err
    assert world.server.requests == []


@pytest.mark.parametrize(
    "document", [{}, {"models": "x"}, {"models": [1], "running_models": []}, {"models": []}]
)
def test_another_form_of_answer_is_refused(world, document):
    answers(world, document)
    ran = world.http("ollama-list-models", "--backend-url", URL, "--json")
    assert (ran.code, ran.json["code"]) == (1, "bad_answer")


def test_a_refusal_of_the_server_is_exit_code_one(world):
    refusal = {"error": "backend_url is not allowed by policy", "code": "backend_not_allowed"}
    world.server.failures = [httpx.Response(400, json=refusal)]
    ran = world.http("ollama-list-models", "--backend-url", "http://10.0.0.1")
    assert ran.code == 1
    assert "not allowed by policy" in ran.err


def test_in_this_process_the_same_policy_holds(world):
    ran = world.run("ollama-list-models", "--backend-url", "http://169.254.169.254", "--json")
    assert (ran.code, ran.json["code"]) == (1, "backend_not_allowed")
    assert (world.server.requests, world.local.opened) == ([], 0)
