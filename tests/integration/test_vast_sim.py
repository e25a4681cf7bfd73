"""The simulated GPU market over HTTP: searching, renting, the life of an instance (holmes-driver.md 6.3)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.integration.vast_client import A100, LAUNCH, RTX_3090, RTX_4090, VastClient, query

from rune.sandbox.clock import Clock
from rune.sandbox.vast import Dialect, VastSim
from rune.sandbox.vast.stock import OLLAMA_TEMPLATE

GOOD = {
    "verified": {"eq": True},
    "rentable": {"eq": True},
    "rented": {"eq": False},
    "direct_port_count": {"gte": 1},
    "reliability": {"gte": 0.99},
    "dph_total": {"gte": 0.0, "lte": 3.0},
    "gpu_total_ram": {"gte": 20000},
    "disk_space": {"gte": 50},
    "order": [["dph_total", "asc"]],
    "limit": 100,
    "type": "on-demand",
    "allocated_storage": 50,
}


@pytest.fixture
def sim() -> Iterator[VastSim]:
    with VastSim(clock=Clock(manual=True, start=1000.0), boot_seconds=120) as running:
        yield running


@pytest.fixture
def api(sim) -> VastClient:
    return VastClient(sim)


@pytest.mark.parametrize("key", [None, "wrong"])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "bundles/"), ("PUT", "asks/7100101/"), ("GET", "nothing")]
)
def test_every_route_wants_the_key(sim, key, method, path):
    assert VastClient(sim, key)(method, path, {}).error == (401, "auth_error")
    assert sim.ledger == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "nothing"),
        ("POST", "instances/"),
        ("PUT", "asks/abc/"),
        ("POST", "/api/v1/bundles/"),
        ("GET", "/api/v1/instances/5/"),
        ("GET", "/"),
    ],
)
def test_what_the_api_does_not_have_is_not_found(api, method, path):
    assert api(method, path).error == (404, "not_found")


@pytest.mark.parametrize("body", [b"{", b"[]", b"5"])
def test_a_body_that_is_no_object_is_refused(api, body):
    assert api("POST", "bundles/", body).error == (400, "invalid_args")
    assert api("PUT", f"asks/{RTX_4090}/", body).error == (400, "invalid_args")


def test_a_search_finds_the_good_offers_and_the_one_that_tells_nothing(api):
    found = api.search(**GOOD)
    assert [(each["gpu_name"], each["num_gpus"], each["dph_total"]) for each in found] == [
        ("RTX 4090", 1, 0.12),
        ("RTX 3090", 1, 0.22),
        ("RTX 4090", 1, 0.38),
        ("RTX A6000", 1, 0.47),
        ("RTX 4090", 2, 0.79),
        ("A100 PCIE", 1, 1.04),
        ("A100 SXM4", 1, 1.12),
        ("H100 SXM", 1, 2.39),
        ("H100 NVL", 1, 2.61),
        ("H200", 1, 2.94),
    ]
    assert "gpu_total_ram" not in found[0]
    assert found[1].keys() >= {
        "id", "machine_id", "gpu_name", "num_gpus", "gpu_ram", "gpu_total_ram", "dph_total", "reliability",
        "reliability2", "verification", "rentable", "rented", "dlperf", "disk_space", "direct_port_count",
        "inet_down",
    }  # fmt: skip
    assert [each["gpu_total_ram"] for each in found if each["gpu_name"].startswith("A100")] == [80, 81920]


def test_without_filters_the_traps_show(api):
    assert len(api.search()) == 16


@pytest.mark.parametrize("path", ["bundles", "bundles/"])
def test_a_search_can_be_a_query(api, path):
    assert api("GET", f"{path}?q={query(GOOD)}").json == {"offers": api.search(**GOOD)}


def test_renting_makes_a_contract_and_takes_the_offer(sim, api):
    made = api.rent(label="rune/dep/job/99")
    shown = api.get(made)
    assert shown is not None
    assert (shown["id"], shown["label"], shown["actual_status"]) == (made, "rune/dep/job/99", None)
    (offer,) = [each for each in api.search() if each["id"] == RTX_4090]
    assert (offer["rentable"], offer["rented"]) == (False, True)
    assert api("PUT", f"asks/{RTX_4090}/", LAUNCH).error == (404, "no_such_ask")
    api("DELETE", f"instances/{made}/")
    assert api.rent() > made


def test_without_cancel_unavail_a_taken_machine_is_waited_and_paid_for(sim, api):
    first, second = api.rent(), api.rent(cancel_unavail=False)
    sim.clock.advance(3600)
    assert api.running(first)
    waiting = api.get(second)
    assert waiting is not None
    assert waiting["actual_status"] is None
    assert [entry.cost_usd for entry in sim.ledger] == [pytest.approx(0.38), pytest.approx(0.38)]


@pytest.mark.parametrize("status", [404, 410])
def test_an_offer_that_is_gone_is_refused_in_either_way(status):
    with VastSim(dialect=Dialect(gone_status=status)) as sim:
        assert VastClient(sim)("PUT", "asks/99/", LAUNCH).error == (status, "no_such_ask")


def test_a_quote_from_before_a_rise_is_stale_until_the_next_search(sim, api):
    api.search()
    sim.reprice(RTX_4090, 0.5)
    assert api("PUT", f"asks/{RTX_4090}/", LAUNCH).error == (400, "invalid_price")
    assert sim.ledger == []
    api.search()
    made = api.rent()
    assert api.get(made)["dph_total"] == 0.5


def test_a_named_price_below_the_offer_s_is_refused(api):
    assert api("PUT", f"asks/{RTX_4090}/", {**LAUNCH, "price": 0.3}).error == (400, "invalid_price")
    assert api.rent(price=0.38)


def test_a_machine_with_too_little_disk_is_refused(api):
    assert api("PUT", f"asks/{RTX_3090}/", {**LAUNCH, "disk": 161}).error == (400, "invalid_args")


def test_an_account_without_money_rents_nothing():
    with VastSim(clock=Clock(manual=True), credit=1.0) as poor:
        client = VastClient(poor)
        client.rent(A100)
        poor.clock.advance(3600)
        assert client("GET", "users/current/").json["balance"] == pytest.approx(-0.12)
        assert client("PUT", f"asks/{RTX_4090}/", LAUNCH).error == (400, "insufficient_credit")


def test_an_instance_boots_runs_stops_and_starts_again(sim, api):
    made = api.rent()
    seen = []
    for step in (0, 30, 89, 1):
        sim.clock.advance(step)
        shown = api.get(made)
        assert shown is not None
        seen.append((shown["actual_status"], "ports" in shown, shown["public_ipaddr"]))
    assert seen == [
        (None, False, None),
        ("loading", False, "127.0.0.1"),
        ("loading", False, "127.0.0.1"),
        ("running", True, "127.0.0.1"),
    ]
    ports = api.running(made)["ports"]
    assert ports == {"11434/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(api.host_port(made))}]}
    assert api.running(made)["ports"] == ports

    assert api("PUT", f"instances/{made}/", {"state": "stopped"}).json == {"success": True}
    stopped = api.get(made)
    assert stopped is not None
    assert (stopped["actual_status"], stopped["intended_status"], "ports" in stopped) == (
        "stopped",
        "stopped",
        False,
    )
    assert api("PUT", f"instances/{made}/", {"state": "running"}).json == {"success": True}
    assert api.get(made)["actual_status"] is None
    sim.clock.advance(120)
    assert api.host_port(made)


@pytest.mark.parametrize(
    "status", ["exited", "offline", "stopped", "unknown", "frozen", "never_heard_of", None]
)
def test_an_instance_can_be_made_to_show_any_status(sim, api, status):
    made = api.rent()
    sim.clock.advance(120)
    assert api.running(made)
    sim.set_status(made, status)
    shown = api.get(made)
    assert shown is not None
    assert shown["actual_status"] == status
    assert "ports" not in shown


def test_no_port_is_mapped_that_was_not_asked_for(sim, api):
    made = api.rent(env={"OLLAMA_HOST": "0.0.0.0:11434"})
    sim.clock.advance(120)
    assert api.running(made)["ports"] == {}


@pytest.mark.parametrize("env", ["-p 11434:11434 -e OLLAMA_HOST=0.0.0.0:11434", None])
def test_ports_may_come_from_flags_or_from_the_template(sim, api, env):
    made = api.rent(image=None, env=env, template_hash_id=OLLAMA_TEMPLATE)
    sim.clock.advance(120)
    assert api.host_port(made)
    assert api.get(made)["template_hash_id"] == OLLAMA_TEMPLATE


def test_a_label_can_be_set_and_seen_in_lists(api):
    made = api.rent()
    assert api.get(made)["label"] is None
    assert api("PUT", f"instances/{made}/", {"label": "rune/x"}).json == {"success": True}
    assert [each["label"] for each in api("GET", "instances").json["instances"]] == ["rune/x"]


@pytest.mark.parametrize("body", [{}, {"state": "paused"}, {"label": 5}, {"colour": "red"}])
def test_a_change_that_makes_no_sense_is_refused(api, body):
    assert api("PUT", f"instances/{api.rent()}/", body).error == (400, "invalid_args")


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_destroyed_instance_is_gone_from_everywhere(sim, api, slash):
    made = api.rent()
    assert api("DELETE", f"instances/{made}{slash}").json == {"success": True}
    assert api.get(made) is None
    assert api.ids() == []
    for method, body in (("DELETE", None), ("PUT", {"label": "x"})):
        assert api(method, f"instances/{made}{slash}", body).error == (404, "no_such_instance")
    sim.assert_no_leaks()


def test_a_market_can_answer_404_for_an_absent_instance():
    with VastSim(dialect=Dialect(absent_status=404)) as sim:
        assert VastClient(sim)("GET", "instances/5/").error == (404, "no_such_instance")
