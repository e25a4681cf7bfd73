"""What a tenant may set, how changes merge and what applies (jobs-api.md 12)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rune_common.domain.errors import InvalidRequest, ProfileNotFound, SecretNotAllowed
from rune_common.domain.setting_keys import BUILT_IN, KEYS
from rune_common.domain.tenant_settings import (
    TenantSettings,
    as_file,
    as_json,
    effective,
    from_json,
    read_change,
    with_change,
)
from rune_common.settings import Settings

SERVER = Settings().tenant_defaults()

GOOD = {
    "vastai": True,
    "template_hash": "abc_DEF-1",
    "max_dph": 128,
    "min_dph": 0.1,
    "reliability": 0.5,
    "vastai_stop_instance": False,
    "backend_type": "vllm",
    "backend_url": "http://192.0.2.1:11434",
    "backend_warmup": False,
    "backend_warmup_timeout": 3600,
    "question": "x" * 100_000,
    "model": "hf.co/a/b:Q4_K-M@1",
    "agent": "sre:holmes",
    "kubeconfig": "~/.kube/config",
    "kubeconfig_ref": "prod-eks",
    "spend_limit_per_job_usd": 5,
    "spend_limit_per_day_usd": 0,
    "chat_timeout_seconds": 780,
    "chat_on_disconnect": "continue",
    "github_app_scanner": {"kind": "external"},
}
BAD = {
    "vastai": ["true", 1],
    "template_hash": ["a b", "x" * 257, 1],
    "max_dph": [128.1, -1, "3", True],
    "min_dph": [-0.1, False],
    "reliability": [101, -1, "0.9"],
    "vastai_stop_instance": ["no"],
    "backend_type": ["x" * 65, 1],
    "backend_url": ["x" * 2049, 1],
    "backend_warmup": [1],
    "backend_warmup_timeout": [3601, -1, 1.5, 10**400],
    "question": ["x" * 100_001, 1],
    "model": ["x" * 129, "a b", "ä", 1],
    "agent": ["x" * 65, 1],
    "kubeconfig": ["apiVersion: v1\nkind: Config", '{"kind": "Config"}', "x" * 4097],
    "kubeconfig_ref": ["../x", "a b", 1],
    "spend_limit_per_job_usd": [5.01, -1, 10**400],
    "spend_limit_per_day_usd": [25.5],
    "chat_timeout_seconds": [781, 0, "300"],
    "chat_on_disconnect": ["ignore", True, ""],
    "github_app_scanner": [{"kind": "evil"}, 1, ""],
}


def test_every_key_is_tried():
    assert set(GOOD) == set(BAD) == set(KEYS)


@pytest.mark.parametrize("name", KEYS)
def test_a_value_within_the_limits_is_taken(name):
    assert read_change({name: GOOD[name]}, server=SERVER).values == {name: GOOD[name]}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_a_value_beyond_them_is_refused_by_the_name_of_its_field(name, value):
    with pytest.raises(InvalidRequest) as caught:
        read_change({name: value}, server=SERVER, within="config")
    assert [problem.field for problem in caught.value.problems] == [f"config.{name}"]


@pytest.mark.parametrize("value", BUILT_IN.items(), ids=lambda pair: pair[0])
def test_every_built_in_value_keeps_to_the_rule_of_its_key(value):
    name, built_in = value
    assert KEYS[name].rule(built_in) is None


def test_an_unknown_agent_and_backend_type_have_their_own_errors():
    for name, code in (("agent", "unknown_agent"), ("backend_type", "unknown_backend_type")):
        with pytest.raises(InvalidRequest) as caught:
            read_change({name: "nobody"}, server=SERVER)
        assert caught.value.code == code


def test_all_faults_are_told_together():
    with pytest.raises(InvalidRequest) as caught:
        read_change({"model": 1, "ollama_warmup": "x", "vastai": True}, server=SERVER)
    assert [problem.field for problem in caught.value.problems] == [
        "settings.model",
        "settings.ollama_warmup",
    ]


@pytest.mark.parametrize(
    "members",
    [
        {"api_token": "x"},
        {"VAST_API_KEY": None},
        {"Password": "x"},
        {"client-secret": "x"},
        {"vast-api-key": "x"},
        {"github_app_scanner": {"kind": "external", "env": [{"TOKEN": "x"}]}},
        {"model": "x", "my_secret_model": "y"},
    ],
)
def test_whatever_looks_like_a_secret_is_refused(members):
    with pytest.raises(SecretNotAllowed):
        read_change(members, server=SERVER)


def test_null_and_blank_delete_a_key():
    change = read_change(
        {"model": None, "backend_url": "", "max_dph": 0, "backend_warmup": False}, server=SERVER
    )
    assert change.deleted == {"model", "backend_url", "max_dph"}
    before = {"model": "a", "max_dph": 2.0, "agent": "holmes", "backend_warmup": True}
    assert change.apply(before) == {"agent": "holmes", "backend_warmup": False}


def test_older_names_count_unless_the_newer_one_is_there():
    assert read_change({"ollama_warmup": False}, server=SERVER).values == {"backend_warmup": False}
    both = read_change({"ollama_warmup": False, "backend_warmup": True}, server=SERVER)
    assert (both.values, both.ignored) == ({"backend_warmup": True}, ("ollama_warmup",))


@pytest.mark.parametrize(
    "name", ["api_base_url", "backend", "allow_self_approval", "backend_allowlist", "modle"]
)
def test_a_name_that_is_no_key_is_ignored_and_named(name):
    change = read_change({name: "x", "model": "m"}, server=SERVER)
    assert (change.values, change.ignored) == ({"model": "m"}, (name,))


def test_a_percentage_becomes_a_share():
    assert read_change({"reliability": 99}, server=SERVER).values == {"reliability": 0.99}
    assert read_change({"reliability": 1}, server=SERVER).values == {"reliability": 1}


def test_layers_go_over_each_other_in_order():
    server = {"model": "server", "agent": "server", "question": "server"}
    stored = TenantSettings({"agent": "tenant", "question": "tenant"}, {"lab": {"question": "profile"}})
    chosen = effective(stored, server)
    assert (chosen["model"], chosen["agent"], chosen["question"]) == ("server", "tenant", "tenant")
    assert chosen["backend_warmup_timeout"] == 90
    assert effective(replace(stored, active_profile="lab"), server)["question"] == "profile"
    assert effective(stored, server, profile="lab")["question"] == "profile"


def test_a_key_that_nobody_sets_is_absent():
    assert {"backend_url", "kubeconfig", "kubeconfig_ref"} & effective(
        TenantSettings(), SERVER
    ).keys() == set()


def test_a_spend_limit_never_rises_above_the_servers():
    stored = TenantSettings({"spend_limit_per_job_usd": 4, "spend_limit_per_day_usd": 20})
    applied = effective(stored, {"spend_limit_per_job_usd": 2})
    assert (applied["spend_limit_per_job_usd"], applied["spend_limit_per_day_usd"]) == (2, 20)


def test_a_merge_goes_into_the_profile_then_the_active_one_then_the_defaults():
    change = read_change({"model": "new"}, server=SERVER)
    stored = TenantSettings({"model": "d"}, {"a": {"model": "a"}, "b": {"model": "b"}})
    active = replace(stored, active_profile="a")
    assert with_change(stored, change, None).defaults == {"model": "new"}
    assert with_change(active, change, None).profiles == {"a": {"model": "new"}, "b": {"model": "b"}}
    assert with_change(active, change, "b").profiles == {"a": {"model": "a"}, "b": {"model": "new"}}
    with pytest.raises(ProfileNotFound):
        with_change(stored, change, "c")


def test_the_file_has_only_keys_that_the_command_line_knows():
    from rune.cli.config_keys import KEYS as FILE_KEYS

    stored = TenantSettings(GOOD, {"lab": GOOD, "home": {}})
    whole = as_file(stored)
    assert whole["version"] == "1"
    assert set(whole["defaults"]) <= set(FILE_KEYS)
    assert set(GOOD) - set(whole["defaults"]) == {name for name, key in KEYS.items() if not key.in_file}
    assert list(whole["profiles"]) == ["lab", "home"]
    assert list(as_file(stored, "home")["profiles"]) == ["home"]


sections = st.dictionaries(st.sampled_from(sorted(KEYS)), st.text(max_size=5) | st.integers() | st.booleans())


@given(sections, st.dictionaries(st.text("abc", min_size=1), sections), st.integers(0, 9))
def test_settings_survive_being_stored(defaults, profiles, version):
    stored = TenantSettings(defaults, profiles, next(iter(profiles), None), version)
    assert from_json(as_json(stored), version) == stored


@given(sections, sections)
def test_merging_the_same_change_again_changes_nothing(before, wanted):
    try:
        change = read_change(wanted, server=SERVER)
    except InvalidRequest:
        return
    once = change.apply(before)
    assert change.apply(once) == once
    assert json.loads(json.dumps(once)) == once
