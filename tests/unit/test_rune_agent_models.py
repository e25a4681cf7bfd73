"""Model names, call arguments, parameters and prompt sections of the agent."""

from __future__ import annotations

from typing import Any

import pytest

from rune_agent import modelmap, params, prompt_controls
from rune_agent.problems import AgentProblem

OLLAMA = {"question": "?", "model": "m", "backend_url": "http://127.0.0.1:11434"}


def problem_of(raw: dict[str, Any]) -> str:
    with pytest.raises(AgentProblem) as caught:
        params.parse(raw, default_timeout=900)
    return caught.value.code


@pytest.mark.parametrize(
    ("given", "arrives"),
    [
        ("m", "m"),
        ("ollama/m", "m"),
        ("ollama_chat/m", "m"),
        ("hf.co/org/model:Q4", "hf.co/org/model:Q4"),
        ("ollama/ollama/m", "ollama/m"),
    ],
)
def test_exactly_one_prefix_of_an_ollama_model_is_stripped(given: str, arrives: str) -> None:
    found = modelmap.library_model("ollama", given, "http://h", 16_384, {})
    assert found.model == f"ollama_chat/{arrives}"


@pytest.mark.parametrize(
    "url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/api/", "http://h:1/v1/"]
)
def test_an_ollama_base_ends_at_the_host(url: str) -> None:
    assert modelmap.ollama_base(url) == "http://h:1"


def test_ollama_always_gets_its_window() -> None:
    found = modelmap.library_model("ollama", "m", "http://h", 20_000, {"num_ctx": 4_096, "temperature": 0})
    assert found.args == {"num_ctx": 20_000, "keep_alive": "30m", "temperature": 0}


def test_keys_are_arguments_of_their_own() -> None:
    found = modelmap.library_model("ollama", "m", "http://h", 20_000, {"api_key": "k"})
    assert (found.api_key, "api_key" in found.args) == ("k", False)


@pytest.mark.parametrize(
    ("given", "listed", "sent"),
    [
        ("m", (), "openai/m"),
        ("openai/m", (), "openai/m"),
        ("openai/gpt", ("openai/gpt",), "openai/openai/gpt"),
        ("openai/openai/m", (), "openai/openai/m"),
    ],
)
def test_an_openai_name_that_the_server_lists_is_used_whole(
    given: str, listed: tuple[str, ...], sent: str
) -> None:
    assert modelmap.library_model("openai", given, "http://h/v1", 0, {}, listed).model == sent


def test_an_openai_base_ends_in_v1_and_the_key_is_never_missing() -> None:
    found = modelmap.library_model("openai", "m", "http://h:1/base/", 0, {})
    assert (found.api_base, found.api_key) == ("http://h:1/base/v1", "none")
    assert modelmap.openai_base("http://h:1/v1/") == "http://h:1/v1"


@pytest.mark.parametrize("given", ["bedrock/x.y", "x.y"])
def test_a_bedrock_id_gets_one_prefix(given: str) -> None:
    assert modelmap.library_model("bedrock", given, None, 0, {}).model == "bedrock/x.y"


@pytest.mark.parametrize("alias", ["openai", "openai-compatible", "vllm", "k8s-inference"])
def test_backends_have_aliases(alias: str) -> None:
    assert modelmap.backend(alias) == "openai"


def test_a_name_without_tag_is_the_latest() -> None:
    assert modelmap.same_model("m", "m:latest")
    assert modelmap.same_model("hf.co/a/b", "hf.co/a/b:latest")
    assert not modelmap.same_model("m:8b", "m")


@pytest.mark.parametrize(
    ("requested", "maximum", "window"),
    [(None, None, 16_384), (None, 131_072, 16_384), (32_768, 131_072, 32_768), (32_768, 20_000, 20_000)],
)
def test_the_window_never_exceeds_the_models_maximum(
    requested: int | None, maximum: int | None, window: int
) -> None:
    assert modelmap.context_window(requested, maximum, 16_384) == window


@pytest.mark.parametrize(("requested", "maximum"), [(12_287, None), (None, 8_192), (8_192, 131_072)])
def test_a_window_below_the_agents_own_prompt_is_refused(requested: int | None, maximum: int | None) -> None:
    with pytest.raises(AgentProblem) as caught:
        modelmap.context_window(requested, maximum, 16_384)
    assert caught.value.code == "context_too_small"


def test_the_output_limit_is_a_fifth_of_the_window_within_bounds() -> None:
    assert [modelmap.output_limit(None, window) for window in (4_000, 16_384, 1_000_000)] == [
        1_024,
        3_276,
        64_000,
    ]
    assert modelmap.output_limit(2_000, 16_384) == 2_000
    assert modelmap.output_limit(100_000, 16_384) == 8_192


def test_defaults_of_ask() -> None:
    asked, ignored = params.parse(OLLAMA, default_timeout=77)
    assert (asked.backend_type, asked.max_steps, asked.timeout_seconds) == ("ollama", 40, 77)
    assert (asked.llm_timeout_seconds, asked.tool_approval, asked.backend_warmup) == (300, "deny", True)
    assert ignored == []


def test_unknown_parameters_are_ignored_and_named() -> None:
    assert params.parse({**OLLAMA, "zebra": 1, "apple": 2}, default_timeout=900)[1] == ["apple", "zebra"]


@pytest.mark.parametrize(
    "change",
    [
        {"question": ""},
        {"question": "  "},
        {"question": "x" * 100_001},
        {"question": 5},
        {"model": None},
        {"model": "m" * 129},
        {"backend_url": None},
        {"backend_url": "http://" + "h" * 2_100},
        {"backend_type": "other"},
        {"max_steps": 0},
        {"max_steps": 101},
        {"max_steps": True},
        {"timeout_seconds": 9},
        {"timeout_seconds": "60"},
        {"llm_timeout_seconds": 601},
        {"pull": "yes"},
        {"tool_approval": "allow"},
        {"images": {}},
        {"conversation_history": ["text"]},
        {"kubeconfig": 5},
        {"kubeconfig_ref": "s3://x"},
    ],
)
def test_a_parameter_out_of_range_is_a_bad_request(change: dict[str, Any]) -> None:
    assert problem_of({**OLLAMA, **change}) == "bad_request"


def test_a_kubeconfig_is_a_document_or_a_path(tmp_path: Any) -> None:
    path = tmp_path / "config"
    path.write_text("a: 1\n")
    for value in (str(path), "a: 1\n"):
        assert params.parse({**OLLAMA, "kubeconfig": value}, default_timeout=900)[0].kubeconfig == "a: 1\n"
    assert (
        params.parse({**OLLAMA, "kubeconfig_path": '{"a": 1}'}, default_timeout=900)[0].kubeconfig
        == '{"a": 1}'
    )
    assert problem_of({**OLLAMA, "kubeconfig": str(tmp_path / "missing")}) == "kubeconfig_invalid"


def test_decisions_need_the_state_they_decide_about() -> None:
    assert problem_of({**OLLAMA, "tool_decisions": [{"tool_call_id": "c"}]}) == "approval_not_pending"


def test_enable_tool_approval_means_pause() -> None:
    asked, ignored = params.parse({**OLLAMA, "enable_tool_approval": True}, default_timeout=900)
    assert (asked.tool_approval, ignored) == ("pause", [])


def test_planning_and_safety_are_off_in_jobs_and_all_else_is_on() -> None:
    found = prompt_controls.sections(None)
    assert [name for name, on in found.library.items() if not on] == [
        "todowrite_instructions",
        "todowrite_reminder",
    ]
    assert (found.ai_safety, found.plans, found.unknown) == (False, False, ())


@pytest.mark.parametrize("name", ["time_runbooks", "time_skills"])
def test_both_names_of_the_time_section_work(name: str) -> None:
    assert prompt_controls.sections({name: False}).library["time_skills"] is False


def test_unknown_sections_are_reported() -> None:
    assert prompt_controls.sections({"poetry": True, "ai_safety": True}) == prompt_controls.PromptSections(
        prompt_controls.sections(None).library, True, ("poetry",)
    )


def test_the_prompt_says_that_there_is_no_cluster() -> None:
    assert "No Kubernetes cluster" in (
        prompt_controls.additions("mine", ai_safety=False, cluster=False) or ""
    )
    assert prompt_controls.additions(None, ai_safety=False, cluster=True) is None
