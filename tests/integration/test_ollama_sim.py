"""The Ollama simulator over HTTP, as clients of the real server use it (holmes-driver.md 6.1)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from rune.sandbox.clock import Clock
from rune.sandbox.ollama import OllamaSim

TOOL = {
    "type": "function",
    "function": {
        "name": "bash",
        "parameters": {
            "type": "object",
            "properties": {
                "command": {"type": "string"},
                "suggested_prefixes": {"type": "array", "items": {"type": "string"}},
                "timeout": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            },
            "required": ["command", "suggested_prefixes", "timeout"],
        },
    },
}


@pytest.fixture
def sim() -> Iterator[OllamaSim]:
    with OllamaSim(clock=Clock(manual=True, start=1_700_000_000.0)) as running:
        yield running


@pytest.fixture
def api(sim) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sim.url, trust_env=False) as client:
        yield client


def chat(api: httpx.Client, question: str, **more: object) -> httpx.Response:
    body = {
        "model": "llama3.1:8b",
        "messages": [{"role": "user", "content": question}],
        "stream": False,
        **more,
    }
    return api.post("/api/chat", json=body)


def lines(response: httpx.Response) -> list[dict]:
    return [json.loads(line) for line in response.text.splitlines()]


def test_it_says_what_it_is(api):
    assert api.get("/").text == "Ollama is running"
    assert api.head("/").status_code == 200
    assert set(api.get("/api/version").json()) == {"version"}
    assert api.get("/api/nothing").status_code == 404


def test_tags_describe_the_installed_models(api):
    models = api.get("/api/tags").json()["models"]
    assert {"llama3.1:8b", "notools:1b", "tiny:1b"} <= {m["name"] for m in models}
    assert all({"name", "model", "modified_at", "size", "digest", "details"} <= m.keys() for m in models)


@pytest.mark.parametrize("key", ["model", "name"])
def test_show_tells_context_length_and_capabilities(api, key):
    shown = api.post("/api/show", json={key: "tiny:1b"}).json()
    family = shown["model_info"]["general.architecture"]
    assert shown["model_info"][f"{family}.context_length"] == 8192
    assert "tools" in shown["capabilities"]
    assert {"details", "template", "parameters"} <= shown.keys()


def test_an_unknown_model_is_not_found(api):
    response = api.post("/api/show", json={"model": "gone:1b"})
    assert (response.status_code, response.json()) == (404, {"error": "model 'gone:1b' not found"})
    assert chat(api, "hi", model="gone:1b").status_code == 404


def test_ps_shows_a_loaded_model_with_its_window_until_its_keep_alive_is_over(sim, api):
    body = {
        "model": "tiny:1b",
        "prompt": "",
        "stream": False,
        "keep_alive": "30m",
        "options": {"num_ctx": 8192},
    }
    assert api.post("/api/generate", json=body).json()["done_reason"] == "load"
    (held,) = api.get("/api/ps").json()["models"]
    assert (held["name"], held["context_length"]) == ("tiny:1b", 8192)
    assert held["size_vram"] > 0
    assert held["expires_at"] == "2023-11-14T22:43:20Z"
    sim.clock.advance(1801)
    assert api.get("/api/ps").json()["models"] == []


def test_keep_alive_zero_unloads(api):
    chat(api, "[[plain]]")
    body = {"model": "llama3.1:8b", "prompt": "", "keep_alive": 0}
    assert api.post("/api/generate", json=body).json()["done_reason"] == "unload"
    assert api.get("/api/ps").json()["models"] == []


def test_generate_answers_a_prompt(api):
    body = {"model": "notools:1b", "prompt": "[[plain]]"}
    streamed = lines(api.post("/api/generate", json=body))
    whole = api.post("/api/generate", json={**body, "stream": False}).json()
    assert "".join(line["response"] for line in streamed) == whole["response"] != ""
    assert [line["done"] for line in streamed][-2:] == [False, True]


def test_pull_streams_progress_and_the_model_is_then_there():
    with OllamaSim(models=["tiny:1b"]) as sim, httpx.Client(base_url=sim.url, trust_env=False) as api:
        assert api.post("/api/show", json={"model": "qwen2.5:14b"}).status_code == 404
        progress = lines(api.post("/api/pull", json={"model": "qwen2.5:14b"}))
        assert [progress[0]["status"], progress[-1]["status"]] == ["pulling manifest", "success"]
        layers = [line for line in progress if "completed" in line]
        assert all(line["completed"] <= line["total"] and line["digest"] for line in layers)
        assert api.post("/api/show", json={"model": "qwen2.5:14b"}).status_code == 200
        assert api.post("/api/pull", json={"model": "vision:7b", "stream": False}).json() == {
            "status": "success"
        }
        assert {m["name"] for m in api.get("/api/tags").json()["models"]} == {
            "tiny:1b",
            "qwen2.5:14b",
            "vision:7b",
        }


def test_pulling_what_no_registry_has_ends_in_an_error(api):
    assert "error" in lines(api.post("/api/pull", json={"model": "nobody/nothing:1b"}))[-1]
    assert api.post("/api/pull", json={"model": "nobody/nothing:1b", "stream": False}).status_code == 500


def test_a_tool_call_has_an_argument_object_and_no_id(api):
    answer = chat(api, "What is unhealthy?", tools=[TOOL], options={"num_ctx": 16_384}).json()
    (call,) = answer["message"]["tool_calls"]
    assert call == {
        "function": {
            "name": "bash",
            "arguments": {
                "command": "kubectl get pods -A -o wide",
                "suggested_prefixes": ["kubectl get"],
                "timeout": 30,
            },
        }
    }
    assert all(
        answer[key] > 0 for key in ("prompt_eval_count", "eval_count", "total_duration", "load_duration")
    )


def test_a_stream_adds_up_to_the_whole_answer(api):
    whole = chat(api, "[[thinking]]").json()
    response = chat(api, "[[thinking]]", stream=True)
    streamed = lines(response)
    assert response.headers["content-type"] == "application/x-ndjson"
    for key in ("content", "thinking"):
        assert "".join(line["message"].get(key, "") for line in streamed) == whole["message"][key] != ""
    assert [line["done"] for line in streamed] == [False] * (len(streamed) - 1) + [True]
    assert streamed[-1]["eval_count"] == whole["eval_count"]


def test_the_output_limit_cuts_the_answer(api):
    answer = chat(api, "[[plain]]", options={"num_predict": 2}).json()
    assert (answer["done_reason"], len(answer["message"]["content"])) == ("length", 8)


def test_without_num_ctx_a_long_prompt_loses_its_instructions_in_silence(sim, api):
    messages = [
        {"role": "system", "content": "x" * 30_000},
        {"role": "user", "content": "What is unhealthy?"},
    ]
    lost = chat(api, "", messages=messages, tools=[TOOL])
    assert lost.status_code == 200
    assert "tool_calls" not in lost.json()["message"]
    assert lost.json()["prompt_eval_count"] <= 4096
    assert sim.cut_prompts == 1
    kept = chat(api, "", messages=messages, tools=[TOOL], options={"num_ctx": 16_384}).json()
    assert kept["message"]["tool_calls"]
    assert kept["prompt_eval_count"] > 4096


def test_another_window_reloads_the_model(sim, api):
    for num_ctx in (16_384, 16_384, 32_768):
        chat(api, "[[plain]]", options={"num_ctx": num_ctx})
    count = sim.load_counts["llama3.1:8b"]
    assert (count.loads, count.reloads) == (2, 1)
    assert api.get("/_sandbox/state").json()["loaded"] == {"llama3.1:8b": 32_768}


def test_format_with_tools_gives_json_and_no_tool_call(api):
    message = chat(api, "What is unhealthy?", tools=[TOOL], format="json").json()["message"]
    assert "tool_calls" not in message
    assert isinstance(json.loads(message["content"]), dict)


def test_tools_on_a_model_without_are_refused(api):
    response = chat(api, "hi", model="notools:1b", tools=[TOOL])
    assert response.status_code == 400
    assert "does not support tools" in response.json()["error"]


@pytest.mark.parametrize(
    ("name", "status"), [("error429", 429), ("error500", 500), ("notfound", 404), ("nope", 400)]
)
def test_scripted_failures_have_their_status(api, name, status):
    response = chat(api, f"[[{name}]]")
    assert response.status_code == status
    assert response.json()["error"]


def test_a_scripted_delay_follows_the_clock(sim, api):
    sim.clock.advance(0)
    with (
        OllamaSim(clock=Clock()) as real,
        httpx.Client(base_url=real.url, trust_env=False, timeout=0.3) as hasty,
    ):
        with pytest.raises(httpx.ReadTimeout):
            chat(hasty, "[[slow]]")
        real.clock.advance(60)
        assert chat(hasty, "[[slow:0.01]]").status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"messages": []}', b'{"model": "tiny:1b", "messages": "x"}']
)
def test_a_malformed_request_is_a_client_error(api, body):
    response = api.post("/api/chat", content=body)
    assert response.status_code == 400
    assert response.json()["error"]


def test_with_a_key_every_route_needs_it():
    with OllamaSim(api_key="sesame") as sim, httpx.Client(base_url=sim.url, trust_env=False) as api:
        assert api.get("/api/tags").status_code == 401
        assert api.get("/v1/models", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert api.get("/api/tags", headers={"Authorization": "Bearer sesame"}).status_code == 200
        assert "sesame" not in str(sim.requests)


def test_the_compatible_dialect_has_call_ids_string_arguments_and_usage(api):
    body = {
        "model": "llama3.1:8b",
        "messages": [{"role": "user", "content": "What is unhealthy?"}],
        "tools": [TOOL],
    }
    answer = api.post("/v1/chat/completions", json=body).json()
    (choice,) = answer["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert call["id"].startswith("call_")
    assert json.loads(call["function"]["arguments"])["command"] == "kubectl get pods -A -o wide"
    assert (
        answer["usage"]["total_tokens"]
        == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]
    )
    assert {m["id"] for m in api.get("/v1/models").json()["data"]} >= {"llama3.1:8b", "tiny:1b"}


def test_the_compatible_dialect_streams_server_sent_events(api):
    body = {
        "model": "llama3.1:8b",
        "messages": [{"role": "user", "content": "[[plain]]"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    response = api.post("/v1/chat/completions", json=body)
    data = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    assert data[-1] == "[DONE]"
    chunks = [json.loads(line) for line in data[:-1]]
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"])
    assert text == "All is well: nothing needed to be looked up."
    assert chunks[-1]["usage"]["total_tokens"] > 0


def test_an_error_of_the_compatible_dialect_is_an_object(api):
    response = api.post("/v1/chat/completions", json={"model": "gone:1b", "messages": []})
    assert (response.status_code, response.json()["error"]["message"]) == (404, "model 'gone:1b' not found")
