"""Settings of tenants, on every adapter."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.integration.run_samples import at_once

from rune_common.adapters.dynamodb import DynamoSettingsStore
from rune_common.adapters.memory import MemorySettingsStore
from rune_common.domain.access import Principal
from rune_common.domain.addresses import AddressPolicy
from rune_common.domain.errors import SettingsChanged
from rune_common.domain.tenant_settings import MAX_BYTES, SettingsStore, TenantSettings, as_json
from rune_common.settings import Settings
from rune_common.usecases.change_settings import SettingsRequest, change_settings, create_profile

FULL = TenantSettings(
    defaults={
        "model": "llama3.1:8b",
        "max_dph": 2.5,
        "backend_warmup": False,
        "question": "wo ist der Föhn?",
    },
    profiles={"lab": {"spend_limit_per_job_usd": 1, "reliability": 0.97}, "empty": {}},
    active_profile="lab",
)


@pytest.fixture(params=["memory", "pydynox", "boto3"])
def store(request: pytest.FixtureRequest) -> SettingsStore:
    if request.param == "memory":
        return MemorySettingsStore()
    client = request.getfixturevalue("table_clients")[request.param]
    return DynamoSettingsStore(request.getfixturevalue("tables").runs, client)


def test_a_tenant_without_settings_has_those_of_version_zero(store):
    assert store.read("default") == TenantSettings()


def test_settings_come_back_with_every_part_and_the_next_version(store):
    written = store.write("default", FULL)
    assert written == replace(FULL, version=1)
    assert store.read("default") == written
    assert store.write("default", replace(written, active_profile=None)).version == 2
    assert store.read("default") == replace(FULL, active_profile=None, version=2)


def test_types_of_values_are_kept(store):
    store.write("default", FULL)
    read = store.read("default")
    assert read.defaults["backend_warmup"] is False
    assert type(read.profiles["lab"]["spend_limit_per_job_usd"]) is int
    assert type(read.defaults["max_dph"]) is float


def test_a_tenant_sees_nothing_of_another(store):
    store.write("default", FULL)
    assert store.read("teamb") == TenantSettings()
    store.write("teamb", TenantSettings({"model": "b"}))
    assert store.read("default").defaults["model"] == "llama3.1:8b"


@pytest.mark.parametrize("version", [0, 1, 3])
def test_a_write_on_another_version_than_the_stored_one_is_refused(store, version):
    store.write("default", store.write("default", FULL))
    with pytest.raises(SettingsChanged):
        store.write("default", TenantSettings({"model": "late"}, version=version))
    assert store.read("default").defaults == FULL.defaults


def test_a_first_write_needs_nothing_stored_and_a_later_one_something(store):
    with pytest.raises(SettingsChanged):
        store.write("default", replace(FULL, version=4))
    assert store.read("default") == TenantSettings()


def test_as_much_as_may_be_set_fits(store):
    padding = "x" * (MAX_BYTES - len(as_json(TenantSettings({"question": ""}))))
    large = TenantSettings({"question": padding})
    assert len(as_json(large)) == MAX_BYTES
    assert store.write("default", large) == store.read("default")


def test_concurrent_merges_of_different_keys_all_stay(store):
    keys = ["max_dph", "reliability", "backend_warmup_timeout", "chat_timeout_seconds", "lab", "home"]
    caller = Principal("p", "human", "default")
    ports = {"if_match": None, "settings": store, "server": Settings(), "backends": AddressPolicy()}

    def change(turn: int) -> None:
        key = keys[turn]
        if key in ("lab", "home"):
            create_profile(key, SettingsRequest({"model": key}), caller, **ports)
        else:
            change_settings(SettingsRequest({key: 0.5 if key == "reliability" else 64}), caller, **ports)

    at_once(len(keys), change)
    stored = store.read("default")
    assert set(stored.defaults) == set(keys) - {"lab", "home"}
    assert set(stored.profiles) == {"lab", "home"}
    assert stored.version == len(keys)


class AnswerLost:
    """A client whose first update is carried out, and carried out again as if its answer had been lost."""

    def __init__(self, client):
        self._client, self._armed = client, True

    def __getattr__(self, name):
        return getattr(self._client, name)

    def update(self, *arguments, **options):
        if self._armed:
            self._armed = False
            self._client.update(*arguments, **options)
        return self._client.update(*arguments, **options)


@pytest.mark.parametrize("name", ["pydynox", "boto3"])
def test_a_write_that_meets_its_own_result_has_succeeded(tables, table_clients, name):
    store = DynamoSettingsStore(tables.runs, AnswerLost(table_clients[name]))
    assert store.write("default", FULL) == replace(FULL, version=1)
    assert store.read("default") == replace(FULL, version=1)
