"""Every fault of the simulated GPU market (holmes-driver.md 6.3)."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest
from tests.integration.vast_client import LAUNCH, RTX_4090, VastClient

from rune.sandbox.clock import Clock
from rune.sandbox.vast import VastSim

ASK = f"asks/{RTX_4090}/"


@pytest.fixture
def sim() -> Iterator[VastSim]:
    with VastSim(clock=Clock(manual=True, start=1000.0), boot_seconds=120) as running:
        yield running


@pytest.fixture
def api(sim) -> VastClient:
    return VastClient(sim)


def status_of(api: VastClient, instance_id: int) -> str | None:
    shown = api.get(instance_id)
    assert shown is not None
    status: str | None = shown["actual_status"]
    return status


def test_offer_gone_refuses_and_takes_the_offer_off_the_market(sim, api):
    sim.fault(kind="offer_gone", times=1)
    assert RTX_4090 in [offer["id"] for offer in api.search()]
    assert api("PUT", ASK, LAUNCH).error == (404, "no_such_ask")
    assert RTX_4090 not in [offer["id"] for offer in api.search()]
    assert api.rent(7100103)


def test_a_lost_reply_leaves_a_contract_that_the_label_finds(sim, api):
    sim.fault(kind="rent_reply_lost", times=1)
    with pytest.raises((ConnectionResetError, http.client.HTTPException)):
        api("PUT", ASK, {**LAUNCH, "label": "rune/x"})
    (found,) = api("GET", "/api/v1/instances/").json["instances"]
    assert found["label"] == "rune/x"
    with pytest.raises(AssertionError, match="still rented"):
        sim.assert_no_leaks()


def test_a_refusal_is_no_lost_reply(sim, api):
    sim.fault(kind="rent_reply_lost")
    assert api("PUT", "asks/99/", LAUNCH).error == (404, "no_such_ask")


def test_a_missing_label_can_be_set_afterwards(sim, api):
    sim.fault(kind="label_missing")
    made = api.rent(label="rune/x")
    assert api.get(made)["label"] is None
    api("PUT", f"instances/{made}/", {"label": "rune/x"})
    assert api.get(made)["label"] == "rune/x"


def test_a_missing_label_can_also_stay_missing(sim, api):
    sim.fault(kind="label_missing", refused=True)
    made = api.rent(label="rune/x")
    assert api("PUT", f"instances/{made}/", {"label": "rune/x"}).json == {"success": True}
    assert api.get(made)["label"] is None


def test_stuck_loading_never_runs(sim, api):
    sim.fault(kind="stuck_loading")
    made = api.rent()
    sim.clock.advance(30)
    assert status_of(api, made) == "loading"
    sim.clock.advance(86_400)
    assert status_of(api, made) == "loading"


def test_exits_while_loading_loads_and_then_has_exited(sim, api):
    sim.fault(kind="exits_while_loading")
    made = api.rent()
    seen = []
    for _ in range(3):
        sim.clock.advance(40)
        seen.append(status_of(api, made))
    assert seen == ["loading", "exited", "exited"]


def test_becomes_changes_a_running_instance_and_hangs_up(sim, api):
    sim.fault(kind="becomes", status="offline", seconds=500)
    made = api.rent()
    sim.clock.advance(499)
    port = api.host_port(made)
    sim.clock.advance(1)
    assert status_of(api, made) == "offline"
    assert "ports" not in api.get(made)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=20)


def test_port_missing_runs_without_a_mapping(sim, api):
    sim.fault(kind="port_missing", times=1)
    bare, whole = api.rent(), api.rent(7100103)
    sim.clock.advance(120)
    assert api.running(bare)["ports"] == {}
    assert api.host_port(whole)


def test_an_ignored_delete_says_yes_and_bills_on_until_it_is_repeated(sim, api):
    sim.fault(kind="delete_ignored", seconds=30)
    made = api.rent()
    for _ in range(3):
        assert api("DELETE", f"instances/{made}/").json == {"success": True}
        assert api.ids() == [made]
        sim.clock.advance(10)
    with pytest.raises(AssertionError):
        sim.assert_no_leaks()
    assert api("DELETE", f"instances/{made}/").json == {"success": True}
    assert api.ids() == []
    assert sim.ledger[0].seconds == 30


def test_a_delete_can_be_ignored_for_ever(sim, api):
    sim.fault(kind="delete_ignored")
    made = api.rent()
    api("DELETE", f"instances/{made}/")
    sim.clock.advance(10**6)
    assert api("DELETE", f"instances/{made}/").status == 200
    assert api.get(made) is not None


def test_delete_fails_as_often_as_told(sim, api):
    sim.fault(kind="delete_fails", times=2)
    made = api.rent()
    assert [api("DELETE", f"instances/{made}/").status for _ in range(3)] == [500, 500, 200]
    sim.assert_no_leaks()


def test_no_credit_refuses_and_rents_nothing(sim, api):
    sim.fault(kind="no_credit", times=1)
    assert api("PUT", ASK, LAUNCH).error == (400, "insufficient_credit")
    assert sim.ledger == []
    assert api.rent()


def test_a_stale_list_shows_the_past_and_a_single_read_the_present(sim, api):
    sim.fault(kind="list_stale", seconds=20)
    old = sim.add_foreign_instance()
    made = api.rent()
    sim.clock.advance(19)
    assert api.ids() == [old]
    assert api.get(made) is not None
    sim.clock.advance(1)
    assert api.ids() == [old, made]
    api("DELETE", f"instances/{made}/")
    assert api.get(made) is None
    assert [each["id"] for each in api("GET", "/api/v1/instances").json["instances"]] == [old, made]
    sim.clock.advance(20)
    assert api.ids() == [old]


def test_a_fault_with_a_match_of_its_own_keeps_it(sim, api):
    sim.fault(kind="no_credit", match={"method": "PUT", "body_contains": "llama3"})
    assert api.rent()
    assert api("PUT", "asks/7100103/", {**LAUNCH, "onstart": "ollama pull llama3"}).status == 400


@pytest.mark.parametrize(
    "kind", ["offer_gone", "rent_reply_lost", "stuck_loading", "no_credit", "delete_fails", "delete_ignored"]
)
def test_a_fault_on_a_request_that_it_cannot_concern_changes_nothing(sim, api, kind):
    sim.fault(kind=kind, match={"path": "*"})
    assert api("GET", "users/current/").json["balance"] == 100.0


def test_faults_do_not_let_in_who_has_no_key(sim):
    sim.fault(kind="rent_reply_lost")
    assert VastClient(sim, "wrong")("PUT", ASK, LAUNCH).error == (401, "auth_error")
    assert sim.ledger == []


def test_a_rate_limit_fault_is_plain_text_without_a_hint(sim, api):
    sim.fault(kind="status", status=429, times=1)
    refused = api("GET", "instances/")
    assert (refused.status, refused.text) == (429, "API requests too frequent")
    assert "retry-after" not in refused.headers
    sim.fault(kind="status", status=429, times=1, headers={"Retry-After": "3"})
    assert api("GET", "instances/").headers["retry-after"] == "3"
    sim.fault(kind="status", status=503, times=1)
    assert api("GET", "instances/").error == (503, "simulated")
    sim.fault(kind="status", status=200, body={"instances": None}, times=1)
    assert api("GET", f"instances/{sim.add_foreign_instance()}/").json == {"instances": None}


@pytest.mark.parametrize("kind", ["truncate", "garbage", "reset", "hang"])
def test_the_common_faults_break_renting_before_it_happens_or_in_the_answer(sim, api, kind):
    sim.fault(kind=kind, match={"method": "PUT"}, times=1, **({"seconds": 0} if kind == "hang" else {}))
    if kind == "garbage":
        with pytest.raises(UnicodeDecodeError):
            api("PUT", ASK, LAUNCH)
    else:
        with pytest.raises((OSError, http.client.HTTPException)):
            api("PUT", ASK, LAUNCH)
    assert len(sim.ledger) == (1 if kind == "truncate" else 0)
    assert api("PUT", ASK, LAUNCH).status == (404 if kind == "truncate" else 200)


def test_faults_are_armed_over_http_with_their_default_match(sim, api):
    assert api("POST", "/_sandbox/faults", {"kind": "no_credit", "times": 1}).status == 200
    assert api("POST", "/_sandbox/faults", {"kind": "list_stale"}).status == 400
    api.search()
    assert api("PUT", ASK, LAUNCH).error == (400, "insufficient_credit")
    assert [entry.fault for entry in sim.requests] == [None, "no_credit"]
