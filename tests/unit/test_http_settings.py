"""Settings and profiles over HTTP (jobs-api.md 12; acceptance 29)."""

from __future__ import annotations

import pytest
import yaml

from rune_common.usecases.read_settings import effective_settings

SETTINGS = "/v1/settings"
PROFILES = "/v1/settings/profiles"


async def stored(client):
    return (await client.get(SETTINGS)).json()


async def test_a_tenant_that_set_nothing_gets_what_the_server_says(build_services, open_client):
    services = build_services(
        default_model="m:1b", backend_url="http://127.0.0.1:9", spend_limit_per_job_usd=3.0
    )
    async with open_client(services) as client:
        found = await stored(client)
    assert (found["defaults"], found["profiles"], found["active_profile"]) == ({}, {}, None)
    assert found["config"] == found["effective_config"]
    assert found["config"]["model"] == "m:1b"
    assert found["config"]["backend_url"] == "http://127.0.0.1:9"
    assert found["config"]["spend_limit_per_job_usd"] == 3
    assert found["config"]["backend_warmup_timeout"] == 90
    assert "kubeconfig" not in found["config"]


async def test_settings_and_profiles_from_first_to_last(client, client_b):
    answer = await client.put(SETTINGS, json={"config": {"model": "x"}})
    assert (answer.status_code, answer.json()) == (200, {"status": "updated"})
    answer = await client.post(PROFILES, json={"name": "lab", "config": {"model": "y", "max_dph": 2}})
    assert (answer.status_code, answer.json()) == (201, {"status": "created", "name": "lab"})
    for _ in range(2):
        answer = await client.get(f"{PROFILES}/lab")
        section = {"model": "y", "max_dph": 2}
        assert answer.json() == {"name": "lab", "settings": section, "config": section}
    assert (await client.get(PROFILES)).json() == {"profiles": ["lab"]}
    found = await stored(client)
    assert (found["defaults"], found["profiles"]) == ({"model": "x"}, {"lab": section})
    assert found["config"] == found["effective_config"]
    assert found["config"]["model"] == "x"
    assert (await stored(client_b))["profiles"] == (await stored(client_b))["defaults"] == {}
    assert (await client_b.get(f"{PROFILES}/lab")).status_code == 404
    assert (await client_b.delete(f"{PROFILES}/lab")).status_code == 404
    answer = await client.delete(f"{PROFILES}/lab")
    assert (answer.status_code, answer.json()) == (200, {"status": "deleted", "name": "lab"})
    assert (await client.get(PROFILES)).json() == {"profiles": []}


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH"])
async def test_every_method_merges_and_null_deletes(client, method):
    await client.put(SETTINGS, json={"settings": {"model": "x", "max_dph": 2}})
    answer = await client.request(method, SETTINGS, json={"settings": {"model": None, "question": "why?"}})
    assert answer.status_code == 200
    assert (await stored(client))["defaults"] == {"max_dph": 2, "question": "why?"}


async def test_the_active_profile_is_where_keys_go(client):
    await client.post(PROFILES, json={"name": "lab", "settings": {"model": "lab"}})
    await client.post(PROFILES, json={"name": "home"})
    await client.patch(SETTINGS, json={"active_profile": "lab", "settings": {"agent": "sre:holmes"}})
    await client.patch(SETTINGS, json={"profile": "home", "settings": {"model": "home"}})
    await client.patch(SETTINGS, json={"settings": {"max_dph": 1}})
    found = await stored(client)
    assert found["active_profile"] == "lab"
    assert found["defaults"] == {}
    assert found["profiles"] == {
        "lab": {"model": "lab", "agent": "sre:holmes", "max_dph": 1},
        "home": {"model": "home"},
    }
    assert found["config"]["model"] == "lab"
    await client.patch(SETTINGS, json={"active_profile": None})
    assert (await stored(client))["active_profile"] is None


async def test_deleting_the_active_profile_leaves_none_active(client):
    await client.post(PROFILES, json={"name": "lab"})
    await client.post(PROFILES, json={"name": "home"})
    await client.patch(SETTINGS, json={"active_profile": "lab"})
    await client.delete(f"{PROFILES}/home")
    assert (await stored(client))["active_profile"] == "lab"
    await client.delete(f"{PROFILES}/lab")
    assert (await stored(client))["active_profile"] is None


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", SETTINGS, {"profile": "none", "settings": {"model": "x"}}),
        ("PATCH", SETTINGS, {"active_profile": "none", "settings": {"model": "x"}}),
        ("GET", f"{PROFILES}/none", None),
        ("GET", f"{PROFILES}/%00", None),
        ("DELETE", f"{PROFILES}/none", None),
        ("GET", f"{SETTINGS}/export?profile=none", None),
    ],
)
async def test_an_unknown_profile_is_not_found_and_nothing_changes(client, method, path, body):
    answer = await client.request(method, path, json=body)
    assert answer.status_code == 404
    assert (answer.json()["error"], answer.json()["code"]) == ("profile not found", "not_found")
    assert (await stored(client))["defaults"] == {}


async def test_a_profile_is_created_once(client):
    await client.post(PROFILES, json={"name": "lab", "settings": {"model": "x"}})
    answer = await client.post(PROFILES, json={"name": "lab", "settings": {"model": "y"}})
    assert answer.status_code == 409
    assert (answer.json()["error"], answer.json()["code"]) == ("profile already exists", "already_exists")
    assert (await client.get(f"{PROFILES}/lab")).json()["settings"] == {"model": "x"}


async def test_there_are_at_most_fifty_profiles(client):
    for number in range(50):
        assert (await client.post(PROFILES, json={"name": f"p{number}"})).status_code == 201
    answer = await client.post(PROFILES, json={"name": "one-more"})
    assert (answer.status_code, answer.json()["error"]) == (
        400,
        "invalid request: profiles must have at most 50 items",
    )


@pytest.mark.parametrize("name", ["", "-a", "a b", "x" * 65, "ä", "a/b", 1, None, "a\n"])
async def test_a_profiles_name_keeps_to_its_form(client, name):
    answer = await client.post(PROFILES, json={"name": name})
    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["details"]] == ["name"]
    assert (await client.get(PROFILES)).json() == {"profiles": []}


async def test_a_change_with_the_current_tag_is_made_and_with_an_older_one_refused(client):
    first = (await client.get(SETTINGS)).headers["etag"]
    answer = await client.put(SETTINGS, json={"settings": {"model": "x"}}, headers={"If-Match": first})
    assert answer.status_code == 200
    for method, path, body in (
        ("PUT", SETTINGS, {"settings": {"model": "y"}}),
        ("POST", PROFILES, {"name": "lab"}),
        ("DELETE", f"{PROFILES}/lab", None),
    ):
        answer = await client.request(method, path, json=body, headers={"If-Match": first})
        assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
    second = (await client.get(SETTINGS)).headers["etag"]
    assert second != first
    assert (await stored(client))["defaults"] == {"model": "x"}
    for tags in (second, f'"other", {second}', "*"):
        answer = await client.put(SETTINGS, json={"settings": {"model": "x"}}, headers={"If-Match": tags})
        assert answer.status_code == 200
    answer = await client.put(SETTINGS, json={}, headers={"If-Match": f"W/{second}"})
    assert answer.status_code == 412


async def test_reading_never_changes_the_tag(client):
    await client.post(PROFILES, json={"name": "lab"})
    tag = (await client.get(SETTINGS)).headers["etag"]
    for path in (SETTINGS, PROFILES, f"{PROFILES}/lab", f"{SETTINGS}/export"):
        assert (await client.get(path)).status_code == 200
        assert (await client.head(path)).status_code == 200
    assert (await client.get(SETTINGS)).headers["etag"] == tag


async def test_secrets_are_refused_and_not_repeated(client):
    for body in ({"settings": {"api_token": "hush-hush"}}, {"config": {"vast_api_key": "hush-hush"}}):
        answer = await client.put(SETTINGS, json=body)
        assert answer.status_code == 400
        assert answer.json()["code"] == "secret_not_allowed"
        assert answer.json()["error"] == "secrets are not accepted in settings"
        assert "hush" not in answer.text
    answer = await client.post(PROFILES, json={"name": "lab", "settings": {"password": "hush-hush"}})
    assert answer.json()["code"] == "secret_not_allowed"
    assert (await stored(client))["profiles"] == {}


async def test_a_wrong_value_is_refused_by_its_field_without_the_value(client):
    answer = await client.put(SETTINGS, json={"config": {"max_dph": "expensive", "model": "x"}})
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid request: config.max_dph must be a number"
    assert [each["field"] for each in answer.json()["details"]] == ["config.max_dph"]
    assert "expensive" not in answer.text
    assert (await stored(client))["defaults"] == {}


@pytest.mark.parametrize("body", [{"settings": []}, {"config": "x"}, {"profile": 1}, {"active_profile": {}}])
async def test_a_field_of_the_wrong_type_is_refused(client, body):
    answer = await client.put(SETTINGS, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert [each["field"] for each in answer.json()["details"]] == list(body)


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/", "http://10.0.0.1", "ftp://x", "http://u:p@127.0.0.1"]
)
async def test_a_model_servers_address_keeps_to_the_policy(client, url):
    answer = await client.put(SETTINGS, json={"settings": {"backend_url": url}})
    assert (answer.status_code, answer.json()["code"]) == (400, "backend_not_allowed")
    assert (await stored(client))["defaults"] == {}


async def test_a_spend_limit_can_be_lowered_only(client):
    assert (
        await client.put(SETTINGS, json={"settings": {"spend_limit_per_job_usd": 4.5}})
    ).status_code == 200
    answer = await client.put(SETTINGS, json={"settings": {"spend_limit_per_job_usd": 5.5}})
    assert answer.status_code == 400
    assert (await stored(client))["config"]["spend_limit_per_job_usd"] == 4.5


async def test_a_price_range_upside_down_is_refused(client):
    assert (await client.put(SETTINGS, json={"settings": {"min_dph": 4}})).status_code == 400
    answer = await client.put(SETTINGS, json={"settings": {"min_dph": 4, "max_dph": 5}})
    assert answer.status_code == 200
    answer = await client.post(PROFILES, json={"name": "cheap", "settings": {"max_dph": 3.5}})
    assert answer.json()["details"][0]["field"] == "settings.min_dph"


async def test_settings_have_a_size(client):
    names = ["a", "b", "c"]
    answers = [
        await client.post(PROFILES, json={"name": name, "settings": {"question": "x" * 100_000}})
        for name in names
    ]
    assert [each.status_code for each in answers] == [201, 201, 400]
    assert (await client.get(PROFILES)).json() == {"profiles": ["a", "b"]}


async def test_what_has_no_meaning_is_named_in_a_header(client):
    body = {"settings": {"model": "x", "api_base_url": "http://x", "ä": 1}, "config": {}, "theme": "dark"}
    answer = await client.put(SETTINGS, json=body)
    assert answer.headers["Rune-Ignored-Fields"] == "config,theme,api_base_url,?"
    answer = await client.post(PROFILES, json={"name": "lab", "settings": {"backend": "http"}})
    assert answer.headers["Rune-Ignored-Fields"] == "backend"
    assert "Rune-Ignored-Fields" not in (await client.put(SETTINGS, json={})).headers


async def test_the_export_is_a_configuration_file(client):
    await client.put(SETTINGS, json={"settings": {"model": "x:1b", "kubeconfig_ref": "prod"}})
    await client.post(PROFILES, json={"name": "lab", "settings": {"question": "Was ist los? äöü: - #"}})
    await client.post(PROFILES, json={"name": "home", "settings": {"max_dph": 1.5}})
    answer = await client.get(f"{SETTINGS}/export")
    assert answer.headers["content-type"] == "text/yaml; charset=utf-8"
    whole = {
        "version": "1",
        "defaults": {"model": "x:1b"},
        "profiles": {"lab": {"question": "Was ist los? äöü: - #"}, "home": {"max_dph": 1.5}},
    }
    assert yaml.safe_load(answer.text) == whole
    answer = await client.get(f"{SETTINGS}/export", params={"profile": "home"})
    assert yaml.safe_load(answer.text) == whole | {"profiles": {"home": {"max_dph": 1.5}}}


async def test_the_export_is_read_by_the_command_line_without_a_warning(client, tmp_path):
    from rune.cli.config_file import read_files

    await client.put(SETTINGS, json={"settings": {"reliability": 97, "backend_warmup": False}})
    await client.post(PROFILES, json={"name": "lab", "settings": {"chat_timeout_seconds": 60, "model": "x"}})
    (tmp_path / "rune.yaml").write_text((await client.get(f"{SETTINGS}/export")).text)
    found = read_files(tmp_path, tmp_path / "home", "lab")
    assert found.warnings == ()
    assert {name: each.value for name, each in found.values.items()} == {
        "reliability": 0.97,
        "backend_warmup": False,
        "model": "x",
    }


async def test_each_scope_opens_its_side_only(build_services, open_client):
    reader = build_services(api_token_policies="default:settings:read")
    async with open_client(reader) as client:
        assert (await client.get(SETTINGS)).status_code == 200
        assert (await client.get(f"{SETTINGS}/export")).status_code == 200
        assert (await client.put(SETTINGS, json={})).status_code == 403
        assert (await client.post(PROFILES, json={"name": "x"})).status_code == 403
        assert (await client.delete(f"{PROFILES}/x")).status_code == 403
    writer = build_services(api_token_policies="default:settings:write")
    async with open_client(writer) as client:
        assert (await client.put(SETTINGS, json={})).status_code == 200
        assert (await client.get(SETTINGS)).status_code == 403
        assert (await client.get(PROFILES)).status_code == 403


async def test_a_submission_is_told_what_applies(client, services):
    await client.post(PROFILES, json={"name": "lab", "settings": {"model": "lab:1b"}})
    await client.patch(SETTINGS, json={"active_profile": "lab"})

    def applies(tenant):
        return effective_settings(tenant, settings=services.tenant_settings, server=services.settings)

    assert applies("default")["model"] == "lab:1b"
    assert applies("teamb")["model"] == services.settings.default_model
