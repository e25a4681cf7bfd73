"""Scripted scenarios and the model store of the Ollama simulator (holmes-driver.md 6.1)."""

from __future__ import annotations

from typing import Any

import pytest

from rune.sandbox.ollama.conversation import Chat, Message, Tool, parse_chat
from rune.sandbox.ollama.models import CATALOGUE, ModelNotFound, ModelStore, parse_keep_alive
from rune.sandbox.ollama.scenarios import BadScenario, UnknownScenario, load_scenarios, scripted_turn

NAMED = [
    *("plain", "bash", "approve", "approve_mixed", "pods", "unknown_tool", "schema", "slow"),
    *("error429", "error500", "notfound", "empty", "texttool", "loop", "big", "thinking"),
]


def at_step(question: str, step: int, scenarios: Any = None, tools: dict[str, Tool] | None = None):
    answered = tuple(Message("assistant", "…") for _ in range(step))
    chat = Chat((Message("user", question), *answered), tools or {})
    return scripted_turn(chat, load_scenarios(scenarios))


@pytest.mark.parametrize("name", NAMED)
def test_every_scenario_of_the_contract_is_built_in(name):
    assert at_step(f"please [[{name}]]", 0) is not None


def test_without_a_marker_nothing_is_scripted():
    assert at_step("What is unhealthy? if [[ -f x ]]; then", 0) is None


def test_a_marker_that_names_nothing_is_told():
    with pytest.raises(UnknownScenario, match="no scenario named nope; there are approve, "):
        at_step("[[nope]]", 0)


def test_only_the_last_user_message_is_read():
    chat = Chat((Message("user", "[[plain]]"), Message("assistant", "ok"), Message("user", "and now?")))
    assert scripted_turn(chat, load_scenarios(None)) is None


def test_the_step_is_the_number_of_answers_since_the_question():
    script = {"walk": [{"content": "one", "repeat": 2}, {"content": "two"}]}
    said = [at_step("[[walk]]", step, script).content for step in range(5)]
    assert said == ["one", "one", "two", "two", "two"]


def test_a_turn_can_repeat_for_ever():
    assert at_step("[[loop]]", 500).tool_calls == at_step("[[loop]]", 0).tool_calls != ()


def test_a_scripted_call_is_completed_from_the_offered_schema():
    tool = Tool("bash", {"command": {}, "suggested_prefixes": {}, "timeout": {}}, ("command", "timeout"))
    script = {"run": {"tool_calls": [{"name": "bash", "arguments": {"command": "true"}}]}}
    (call,) = at_step("[[run]]", 0, script, {"bash": tool}).tool_calls
    assert call.arguments == {"command": "true", "timeout": None}


def test_the_length_of_a_delay_can_stand_in_the_marker():
    assert at_step("[[slow]]", 0).delay == 60
    assert at_step("[[slow:2.5]]", 0).delay == 2.5


def test_an_error_without_a_status_is_a_server_error():
    turn = at_step("[[bad]]", 0, {"bad": {"error": "boom"}})
    assert (turn.status, turn.error) == (500, "boom")


def test_scenarios_come_from_a_file_and_win_over_built_in_ones(tmp_path):
    path = tmp_path / "scenarios.yaml"
    path.write_text("plain: [{content: mine}]\nextra: {content: more, thinking: hm}\n")
    assert at_step("[[plain]]", 0, path).content == "mine"
    assert at_step("[[extra]]", 0, path).thinking == "hm"
    assert at_step("[[bash]]", 0, path).tool_calls


@pytest.mark.parametrize(
    "script", [["x"], {"a": []}, {"a": {"contents": "typo"}}, {"a": {"tool_calls": [{}]}}]
)
def test_a_wrong_scenario_is_refused(script):
    with pytest.raises(BadScenario):
        load_scenarios(script)


def test_both_dialects_give_the_same_conversation():
    call = {"name": "bash", "arguments": {"command": "true"}}
    native = {"role": "assistant", "content": "", "tool_calls": [{"function": call}]}
    compatible = {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "1", "type": "function", "function": {**call, "arguments": '{"command": "true"}'}}
        ],
    }
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    first = parse_chat({"messages": [{"role": "user", "content": "a"}, native]}, format=None)
    second = parse_chat({"messages": [{"role": "user", "content": parts}, compatible]}, format=None)
    assert first == second


@pytest.fixture
def store() -> ModelStore:
    return ModelStore(["llama3.1:8b", "tiny:1b"], default_num_ctx=4096, now=0.0)


def test_a_request_without_num_ctx_gets_the_small_window(store):
    assert store.window(store.find("llama3.1:8b"), None) == 4096
    assert store.window(store.find("llama3.1:8b"), 16_384) == 16_384
    assert store.window(store.find("tiny:1b"), 16_384) == 8192


def test_another_window_reloads_the_model_and_the_same_does_not(store):
    model = store.find("llama3.1:8b")
    assert [store.load(model, num_ctx, "30m", 0.0) for num_ctx in (4096, 4096, 8192)] == [True, False, True]
    count = store.counts()["llama3.1:8b"]
    assert (count.loads, count.reloads) == (2, 1)


def test_a_model_is_unloaded_when_it_was_not_used_for_its_keep_alive(store):
    store.load(store.find("tiny:1b"), 4096, "5m", 0.0)
    assert [held.model.name for held in store.loaded(299.0)] == ["tiny:1b"]
    assert store.loaded(300.0) == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 300),
        (10, 10),
        ("30m", 1800),
        ("1h30m", 5400),
        ("0", 0),
        (-1, float("inf")),
        ("-1m", float("inf")),
    ],
)
def test_keep_alive_is_read_as_the_server_reads_it(value, seconds):
    assert parse_keep_alive(value) == seconds


def test_a_name_without_tag_means_latest(store):
    with pytest.raises(ModelNotFound, match="model 'llama3.1' not found"):
        store.find("llama3.1")


def test_the_catalogue_has_the_contracts_models():
    shown = {m.name: (set(m.capabilities) - {"completion"}, m.context_length) for m in CATALOGUE}
    assert set(shown) == {"llama3.1:8b", "qwen2.5:14b", "notools:1b", "vision:7b", "tiny:1b"}
    assert [shown["notools:1b"][0], shown["vision:7b"][0]] == [set(), {"tools", "vision"}]
    assert shown["tiny:1b"] == ({"tools"}, 8192)
