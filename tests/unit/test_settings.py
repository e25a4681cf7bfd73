"""Settings: read from variables, given on to other processes, and never told when they are secret."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from rune_common.domain.errors import Misconfigured
from rune_common.settings import LOOPBACK_ALLOWLIST, Settings

SECRET = "a-secret-value-of-thirty-two-chars"
FIELDS = dataclasses.fields(Settings)
HINTS = get_type_hints(Settings)


def variable(name: str) -> str:
    found: str = next(each.metadata["variable"] for each in FIELDS if each.name == name)
    return found


def example(kind: Any) -> tuple[str, Any]:
    """A text and the value that it means."""
    if kind is bool:
        return "yes", True
    if kind in (int, float):
        return "17", kind(17)
    if get_origin(kind) is tuple:
        assert get_args(kind)[0] is str
        return " a, b ,,c ", ("a", "b", "c")
    assert kind is str
    return "some text", "some text"


@pytest.mark.parametrize("name", [each.name for each in FIELDS])
def test_every_setting_is_read_from_its_variable(name: str) -> None:
    text, value = example(HINTS[name])
    assert getattr(Settings.from_env({variable(name): text}), name) == value


def test_nothing_set_means_the_defaults_and_so_does_an_empty_variable() -> None:
    assert Settings.from_env({}) == Settings()
    assert Settings.from_env({each.metadata["variable"]: "" for each in FIELDS}) == Settings()


def test_every_setting_says_what_it_means_and_where_that_is_decided() -> None:
    variables = [each.metadata["variable"] for each in FIELDS]
    assert len(set(variables)) == len(variables)
    for each in FIELDS:
        assert each.metadata["meaning"]
        assert each.metadata["section"].split(" ")[0].endswith(".md")


@pytest.mark.parametrize("name", [each.name for each in FIELDS if HINTS[each.name] in (bool, int, float)])
def test_a_value_that_does_not_fit_is_refused_by_the_variables_name_only(name: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Settings.from_env({variable(name): SECRET})
    assert variable(name) in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", True), ("TRUE", True), ("on", True), ("0", False), ("No", False), ("off", False)],
)
def test_a_flag_has_eight_words(text: str, value: bool) -> None:
    assert Settings.from_env({"RUNE_BACKEND_ALLOW_PUBLIC": text}).backend_allow_public is value


def test_settings_survive_the_way_to_another_process_without_their_secrets() -> None:
    environ = {each.metadata["variable"]: example(HINTS[each.name])[0] for each in FIELDS}
    settings = Settings.from_env(environ)
    again = Settings.from_env(settings.environment())
    for each in FIELDS:
        expected = each.default if each.metadata["secret"] else getattr(settings, each.name)
        assert getattr(again, each.name) == expected, each.name


def test_secrets_are_in_no_representation() -> None:
    secrets = {each.metadata["variable"]: SECRET for each in FIELDS if each.metadata["secret"]}
    assert {"RUNE_API_TOKENS", "RUNE_CURSOR_KEY"} <= set(secrets)
    settings = Settings.from_env(secrets)
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings.environment())


def test_a_server_on_loopback_allows_loopback_unless_it_is_told_otherwise() -> None:
    found = Settings().on_loopback({}, kubeconfig_dir="~/.kube")
    assert found.backend_allowlist == found.cluster_allowlist == LOOPBACK_ALLOWLIST
    assert found.kubeconfig_dirs == ("~/.kube",)
    environ = {"RUNE_BACKEND_ALLOWLIST": "10.0.0.1", "RUNE_CLUSTER_ALLOWLIST": "", "RUNE_KUBECONFIG_DIRS": ""}
    told = Settings.from_env(environ).on_loopback(environ, kubeconfig_dir="~/.kube")
    assert (told.backend_allowlist, told.cluster_allowlist, told.kubeconfig_dirs) == (("10.0.0.1",), (), ())


def test_only_a_named_stage_is_on_aws() -> None:
    assert not Settings().on_aws
    assert Settings(env="production").on_aws
