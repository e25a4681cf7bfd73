"""The account at the simulated GPU market over HTTP: lists, templates, volumes, the ledger, others' instances.

holmes-driver.md 6.3.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.integration.vast_client import A100, LAUNCH, RTX_3090, RTX_4090, VastClient

from rune.sandbox.clock import Clock
from rune.sandbox.vast import Dialect, VastSim
from rune.sandbox.vast.stock import OLLAMA_TEMPLATE


@pytest.fixture
def sim() -> Iterator[VastSim]:
    with VastSim(clock=Clock(manual=True, start=1000.0), boot_seconds=120) as running:
        yield running


@pytest.fixture
def api(sim) -> VastClient:
    return VastClient(sim)


def test_lists_come_whole_or_in_pages(sim, api):
    ids = [sim.add_foreign_instance(f"other-{n}") for n in range(60)]
    whole = api("GET", "instances/").json
    assert (whole["instances_found"], [each["id"] for each in whole["instances"]]) == (60, ids)

    pages, token = [], ""
    while True:
        page = api("GET", f"/api/v1/instances/?limit=25&after_token={token}").json
        pages.append([each["id"] for each in page["instances"]])
        assert page["instances_found"] == 60
        token = page["next_token"]
        if token is None:
            break
    assert [len(page) for page in pages] == [25, 25, 10]
    assert sum(pages, []) == ids


def test_a_page_is_never_longer_than_25_and_the_last_full_one_has_no_successor(sim, api):
    for _ in range(25):
        sim.add_foreign_instance()
    page = api("GET", "/api/v1/instances?limit=1000").json
    assert (len(page["instances"]), page["next_token"]) == (25, None)
    sim.add_foreign_instance()
    page = api("GET", "/api/v1/instances?limit=1000").json
    assert len(page["instances"]) == 25
    assert page["next_token"]


@pytest.mark.parametrize("asked", ["limit=0", "limit=many", "after_token=!", "after_token=YWJj"])
def test_a_page_that_makes_no_sense_is_refused(api, asked):
    assert api("GET", f"/api/v1/instances/?{asked}").error == (400, "invalid_args")


def test_a_market_can_know_one_version_of_the_list():
    with VastSim(dialect=Dialect(list_versions=("v1",))) as sim:
        api = VastClient(sim)
        assert api("GET", "instances/").error == (404, "not_found")
        assert api("GET", "/api/v1/instances/").json["instances"] == []


def test_templates_are_listed_in_two_forms_and_can_be_added(api):
    listed = api("GET", "template/").json
    assert (listed["success"], listed["templates_found"]) == (True, 2)
    assert listed["templates"][0]["hash_id"] == OLLAMA_TEMPLATE
    new = {"name": "mine", "image": "ollama/ollama", "tag": "0.12", "env": {"-p 11434:11434": "1"}}
    made = api("POST", "template/", new).json["template"]
    assert made["env"] == "-p 11434:11434"
    assert api("GET", "users/current/templates/").json == [*listed["templates"], made]
    shown = api.get(api.rent(image=None, env=None, template_hash_id=made["hash_id"]))
    assert shown is not None
    assert shown["image_uuid"] == "ollama/ollama:0.12"
    assert api("POST", "template/", {"name": "x"}).error == (400, "invalid_args")


def test_volumes_are_found_rented_attached_and_deleted(sim, api):
    (offer,) = api("POST", "volumes/search/", {"disk_space": {"lt": 1000}}).json["offers"]
    name = api("PUT", "volumes/", {"id": offer["id"], "size": 73}).json["volume_name"]
    volume_id = int(name.removeprefix("V."))
    instance = api.rent(volume_info={"volume_id": volume_id, "mount_path": "/data"})
    (volume,) = api("GET", "volumes/").json["volumes"]
    assert (volume["id"], volume["instances"]) == (volume_id, [{"id": instance}])
    assert api("DELETE", f"volumes/?id={volume_id}").error == (400, "volume_in_use")
    sim.clock.advance(7200)
    api("DELETE", f"instances/{instance}/")
    with pytest.raises(AssertionError, match=f"still rented: volume {volume_id}"):
        sim.assert_no_leaks()
    assert api("DELETE", f"volumes/?id={volume_id}").json == {"success": True}
    sim.assert_no_leaks()
    assert [(entry.kind, entry.cost_usd) for entry in sim.ledger] == [
        ("volume", pytest.approx(2 * 0.01)),
        ("instance", pytest.approx(2 * 0.38)),
    ]
    assert api("DELETE", f"volumes/?id={volume_id}").error == (404, "no_such_volume")


def test_volumes_that_cannot_be_are_refused(api):
    assert api("PUT", "volumes/", {"id": 1}).error == (404, "no_such_ask")
    assert api("PUT", "volumes/", {"id": 8200301, "size": 501}).error == (400, "invalid_args")
    made = api("PUT", "volumes/", {"id": 8200302}).json["volume_name"]
    elsewhere = {**LAUNCH, "volume_info": {"volume_id": int(made.removeprefix("V."))}}
    assert api("PUT", f"asks/{RTX_4090}/", elsewhere).error == (400, "invalid_args")
    missing = {**LAUNCH, "volume_info": {"volume_id": 1}}
    assert api("PUT", f"asks/{RTX_4090}/", missing).error == (404, "no_such_volume")


def test_the_ledger_bills_from_the_accepted_put_to_the_accepted_delete(sim, api):
    foreign = sim.add_foreign_instance("someone", age_seconds=50_000)
    made = api.rent(A100, label="rune/x")
    api("PUT", f"asks/{A100}/", LAUNCH)
    sim.clock.advance(1800)
    with pytest.raises(AssertionError, match=f"still rented: instance {made} \\('rune/x'\\)"):
        sim.assert_no_leaks()
    api("DELETE", f"instances/{made}/")
    sim.clock.advance(999)
    sim.assert_no_leaks()
    document = api("GET", "/_sandbox/ledger").json
    assert document["open"] == []
    assert document["cost_usd"] == pytest.approx(0.56)
    other, mine = document["entries"]
    assert (other["id"], other["foreign"], other["released_at"]) == (foreign, True, None)
    assert {**mine, "cost_usd": None} == {
        "id": made,
        "kind": "instance",
        "label": "rune/x",
        "dph": 1.12,
        "rented_at": 1000.0,
        "released_at": 2800.0,
        "seconds": 1800.0,
        "cost_usd": None,
        "foreign": False,
    }


def test_a_foreign_instance_runs_and_any_attempt_on_it_is_noticed(sim, api):
    foreign, volume = sim.add_foreign_instance("someone"), sim.add_foreign_volume()
    assert api.running(foreign)["label"] == "someone"
    api("GET", f"instances/{foreign}/")
    api("PUT", f"instances/{foreign - 1}/", {"label": "x"})
    sim.assert_untouched(foreign)
    sim.assert_untouched(volume)
    with pytest.raises(KeyError):
        sim.assert_untouched(5)
    sim.fault(kind="delete_fails")
    api("DELETE", f"instances/{foreign}/")
    with pytest.raises(AssertionError, match=f"touched: DELETE /api/v0/instances/{foreign}/"):
        sim.assert_untouched(foreign)
    assert api("DELETE", f"volumes/?id={volume}").status == 200
    with pytest.raises(AssertionError, match="touched: DELETE /api/v0/volumes/"):
        sim.assert_untouched(volume)


def test_the_same_is_reached_over_http_from_another_process(sim, api):
    foreign = api("POST", "/_sandbox/foreign", {"label": "rune/old/job/1", "age_seconds": 9000}).json["id"]
    assert api.get(foreign)["duration"] == 9000
    made = api.rent()
    assert api("POST", f"/_sandbox/instances/{made}", {"actual_status": "offline"}).status == 200
    assert api("POST", "/_sandbox/instances/5", {"actual_status": "offline"}).status == 404
    assert api("POST", f"/_sandbox/offers/{RTX_3090}", {"dph_total": 0.9}).status == 200
    assert api("POST", "/_sandbox/offers/5", {"dph_total": 0.9}).status == 400
    state = api("GET", "/_sandbox/state").json
    assert state["instances"] == {str(foreign): "running", str(made): "offline"}
    assert (state["open"], state["offers"][str(RTX_3090)]) == ([made], 0.9)
    api("POST", "/_sandbox/reset")
    assert (api.ids(), sim.ledger) == ([], [])


def test_too_frequent_requests_to_one_endpoint_get_plain_text_without_a_hint():
    with VastSim(clock=Clock(manual=True), min_interval_seconds=2) as sim:
        api = VastClient(sim)
        assert api("GET", "instances/").status == 200
        refused = api("GET", "instances/")
        assert (refused.status, refused.text) == (429, "API requests too frequent")
        assert refused.headers["content-type"].startswith("text/plain")
        assert "retry-after" not in refused.headers
        assert api("GET", "users/current").status == 200
        sim.clock.advance(2)
        assert api("GET", "instances/").status == 200
