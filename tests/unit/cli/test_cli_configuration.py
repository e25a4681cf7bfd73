from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rune.cli.commands.setup import starter_file
from rune.cli.config_keys import FALSE_WORDS, KEYS, TRUE_WORDS


def shown(world, name, *arguments):
    return world.run("--json", *arguments, "config").json["result"]["values"][name]


def write(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def test_an_option_beats_the_environment_which_beats_the_files_which_beat_the_built_in_value(world):
    assert shown(world, "api_tenant") == {"value": "default", "source": "built-in"}
    write(world.home / ".rune/config.yaml", "defaults: {api_tenant: from-home}")
    assert shown(world, "api_tenant") == {"value": "from-home", "source": "~/.rune/config.yaml"}
    write(world.folder / "rune.yaml", "defaults: {api_tenant: from-project}")
    assert shown(world, "api_tenant") == {"value": "from-project", "source": "rune.yaml"}
    world.environ["RUNE_API_TENANT"] = "from-environment"
    assert shown(world, "api_tenant") == {"value": "from-environment", "source": "RUNE_API_TENANT"}
    assert shown(world, "api_tenant", "--api-tenant", "given") == {"value": "given", "source": "option"}


def test_the_files_merge_key_by_key(world):
    write(world.home / ".rune/config.yml", "defaults: {model: home-model, agent: home-agent}")
    write(world.folder / "rune.yml", "defaults: {model: project-model}")
    assert shown(world, "model")["value"] == "project-model"
    assert shown(world, "agent")["value"] == "home-agent"


def test_a_chosen_profile_goes_over_every_default(world):
    write(world.home / ".rune/config.yaml", "profiles: {lab: {model: lab-model, agent: lab-agent}}")
    write(world.folder / "rune.yaml", "defaults: {model: project-model}\nprofiles: {lab: {agent: nearer}}")
    assert shown(world, "model", "--profile", "lab")["value"] == "lab-model"
    assert shown(world, "agent", "--profile", "lab") == {
        "value": "nearer",
        "source": "rune.yaml (profile lab)",
    }
    world.environ["RUNE_PROFILE"] = "lab"
    assert shown(world, "model")["value"] == "lab-model"


def test_an_unknown_profile_names_the_known_ones(world):
    write(world.folder / "rune.yaml", "profiles: {lab: {}, production: {}}")
    ran = world.run("--profile", "labb", "config")
    assert ran.code == 1
    assert "unknown profile 'labb'. Known profiles: lab, production" in ran.err


def test_unknown_keys_are_warnings(world):
    write(world.folder / "rune.yaml", "modle: x\ndefaults: {tempo: 3}")
    ran = world.run("config")
    assert ran.code == 0
    assert "warning: rune.yaml: unknown key 'modle' is ignored" in ran.err
    assert "warning: rune.yaml: unknown key 'tempo' is ignored" in ran.err


@pytest.mark.parametrize(
    "text",
    ["api_token: hunter2", "defaults: {api_token: hunter2}", "profiles: {unused: {vast_api_key: hunter2}}"],
)
def test_a_secret_in_a_file_is_an_error_that_does_not_show_it(world, text):
    write(world.folder / "rune.yaml", text)
    ran = world.run("config")
    assert ran.code == 1
    assert "is a secret and must not be in the file" in ran.err
    assert "RUNE_API_TOKEN" in ran.err or "VAST_API_KEY" in ran.err
    assert "hunter2" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "defaults: {api_port: many}",
            "rune.yaml: api_port must be a whole number at least 0 and at most 65535",
        ),
        ("defaults: {api_port: true}", "api_port must be a whole number"),
        ("defaults: {vastai: 1}", "vastai must be true or false"),
        ("defaults: {backend: cloud}", "backend must be 'local' or 'http'"),
        ("defaults: {max_dph: .nan}", "max_dph must be a number"),
        ("defaults: [model]", "defaults must be a mapping"),
        ("version: 2", 'version must be "1"'),
        ("a: b: c", "is not YAML (line 1)"),
        ("- x", "the file must be a mapping"),
    ],
)
def test_a_file_that_does_not_fit_is_an_error_with_its_place(world, text, problem):
    write(world.folder / "rune.yaml", text)
    ran = world.run("--json", "config")
    assert ran.code == 1
    assert problem in ran.json["error"]
    assert ran.json["code"] == "config"


def test_a_bad_variable_or_option_is_a_usage_error_and_an_empty_variable_is_not_set(world):
    world.environ["RUNE_BACKEND_WARMUP"] = ""
    assert shown(world, "backend_warmup") == {"value": True, "source": "built-in"}
    world.environ["RUNE_BACKEND_WARMUP"] = "perhaps"
    ran = world.run("config")
    assert (ran.code, ran.out) == (2, "")
    assert "Invalid value for RUNE_BACKEND_WARMUP: must be true or false" in ran.err
    assert world.run("--backend", "cloud", "info").code == 2


@pytest.mark.parametrize(("word", "value"), [("YES", True), ("on", True), ("0", False), ("Off", False)])
def test_flags_in_the_environment_take_the_eight_words_in_any_case(world, word, value):
    world.environ["RUNE_VASTAI"] = word
    assert shown(world, "vastai")["value"] is value


def test_config_tells_that_a_token_is_set_but_neither_it_nor_passwords_in_addresses(world):
    world.environ["RUNE_API_TOKEN"] = "hunter2"
    arguments = ("--api-base-url", "http://me:hunter3@example.test:1", "config")
    ran = world.run(*arguments)
    assert "(set)" in ran.out
    assert "http://example.test:1" in ran.out
    assert "hunter" not in ran.out + ran.err
    assert world.run("--json", *arguments).json["result"]["api_token_set"] is True


def test_init_writes_a_file_that_the_reader_accepts_without_a_warning(world):
    ran = world.run("init")
    assert (ran.code, ran.out, ran.err) == (0, "wrote rune.yaml\n", "")
    text = (world.folder / "rune.yaml").read_text()
    assert all(f"{name}:" in text for name in KEYS)
    ran = world.run("config")
    assert (ran.code, ran.err) == (0, "")
    assert shown(world, "backend", "--profile", "server")["value"] == "http"


def test_every_commented_line_of_the_starter_file_is_valid_once_its_mark_is_removed(world):
    text = "".join(
        line.replace("  # ", "  ", 1) + "\n"
        for line in starter_file().splitlines()
        if not line.startswith("  # ") or line.removeprefix("  # ").partition(":")[0] in KEYS
    )
    write(world.folder / "rune.yaml", text)
    ran = world.run("config")
    assert (ran.code, ran.err) == (0, "")
    assert set(yaml.safe_load(text)["defaults"]) == set(KEYS)


@pytest.mark.parametrize("name", ["rune.yaml", "rune.yml"])
def test_init_leaves_a_file_alone_unless_forced(world, name):
    write(world.folder / name, "defaults: {api_token: broken")
    ran = world.run("init")
    assert ran.code == 0
    assert f"{name} exists" in ran.out
    assert (world.folder / name).read_text() == "defaults: {api_token: broken"
    assert world.run("--json", "init", "--force").json["result"] == {"file": "rune.yaml", "written": True}
    assert world.run("config").code == 0


@given(st.text().filter(lambda text: text.strip().lower() not in TRUE_WORDS | FALSE_WORDS))
def test_any_other_word_is_no_flag(text):
    with pytest.raises(ValueError, match="^must be true or false$"):
        KEYS["vastai"].parse(text)


@given(st.one_of(st.integers(), st.floats(), st.text(), st.booleans(), st.none(), st.lists(st.integers())))
def test_a_bounded_number_is_accepted_only_inside_its_bounds(value):
    key = KEYS["reliability"]
    try:
        accepted = key.accept(value)
    except ValueError:
        assert isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100
    else:
        assert 0 <= accepted <= 100
