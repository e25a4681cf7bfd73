"""What a create call may say, and the life of what it makes (holmes-driver.md 6.3, jobs-api.md 6.1)."""

from __future__ import annotations

from typing import Any

import pytest

from rune.sandbox.faults import BadFault
from rune.sandbox.vast import Offer
from rune.sandbox.vast.environment import flags_of, mapped_ports, read_environment
from rune.sandbox.vast.faults import VastFaultPlan
from rune.sandbox.vast.launch import Launch, read_launch
from rune.sandbox.vast.ledger import LedgerEntry
from rune.sandbox.vast.refusal import Refused
from rune.sandbox.vast.rentals import Boot, Fate, Instance
from rune.sandbox.vast.stock import OLLAMA_TEMPLATE, TEMPLATES

KNOWN = {template.hash_id: template for template in TEMPLATES}
IMAGE = {"image": "ollama/ollama"}


def instance(**changes: object) -> Instance:
    fields: dict[str, Any] = {
        "id": 5,
        "kind": "instance",
        "label": "rune/x",
        "dph": 3.6,
        "rented_at": 1000.0,
        "offer": Offer(1, 10, "RTX 4090", 2, 24564, 3.6),
        "launch": Launch("ollama/ollama"),
        "boot": Boot(30, 120),
        "powered_at": 1000.0,
    }
    return Instance(**(fields | changes))


def test_both_forms_of_env_mean_the_same():
    as_object = {"-p 11434:11434": "1", "OLLAMA_HOST": "0.0.0.0:11434", "NOTE": "two words"}
    as_flags = "-p 11434:11434 -e OLLAMA_HOST=0.0.0.0:11434 -e 'NOTE=two words'"
    assert read_environment(as_object) == read_environment(as_flags) == as_object
    assert read_environment(flags_of(as_object)) == as_object


def test_ports_are_named_by_the_container_s_side():
    env = {"-p 8080:11434": "1", "-p 53:53/udp": "1", "-p 9000": "1", "PORT": "1"}
    assert mapped_ports(env) == ("11434/tcp", "53/udp", "9000/tcp")


@pytest.mark.parametrize(
    "env",
    [
        [],
        7,
        {"-p eleven": "1"},
        {"-p 11434:11434": 1},
        {"A B": "1"},
        "-p",
        "-e NAME",
        "--gpus all",
        "-e 'open",
        "-v /a:/b",
    ],
)
def test_an_env_of_neither_form_is_refused(env):
    with pytest.raises(Refused) as caught:
        read_launch({**IMAGE, "env": env}, {})
    assert caught.value.error == "invalid_args"


def test_a_market_can_insist_on_one_form_of_env():
    flags = {**IMAGE, "env": "-p 11434:11434"}
    assert read_launch(flags, {}, env_forms=("string",)).ports == ("11434/tcp",)
    with pytest.raises(Refused, match="env must be given as object"):
        read_launch(flags, {}, env_forms=("object",))


def test_a_template_gives_what_the_request_leaves_open():
    launch = read_launch({"template_hash_id": OLLAMA_TEMPLATE}, KNOWN)
    assert (launch.image, launch.disk, launch.runtype) == ("ollama/ollama:latest", 32, "args")
    assert launch.ports == ("11434/tcp",)


def test_the_request_overrides_scalars_of_its_template_and_merges_env_by_key():
    env = {"OLLAMA_HOST": "0.0.0.0:9", "EXTRA": "1"}
    launch = read_launch({"template_hash_id": OLLAMA_TEMPLATE, "disk": 80, "env": env}, KNOWN)
    assert (launch.image, launch.disk) == ("ollama/ollama:latest", 80)
    assert launch.env == {"-p 11434:11434": "1", **env}


@pytest.mark.parametrize(
    "change",
    [
        {"image": None},
        {"image": 5},
        {"template_hash_id": "unknown"},
        {"disk": 7},
        {"disk": "32"},
        {"runtype": "serverless"},
        {"label": "x" * 257},
        {"label": 5},
        {"onstart": []},
        {"target_state": "paused"},
        {"price": "0.4"},
        {"volume_info": {"size": 5}},
    ],
)
def test_a_create_call_that_makes_no_sense_is_refused(change):
    with pytest.raises(Refused) as caught:
        read_launch({**IMAGE, **change}, KNOWN)
    assert (caught.value.status, caught.value.error) == (400, "invalid_args")


def test_the_longest_label_is_accepted():
    assert read_launch({**IMAGE, "label": "x" * 256}, {}).label == "x" * 256


@pytest.mark.parametrize(
    ("elapsed", "status"), [(0, None), (29.9, None), (30, "loading"), (119.9, "loading"), (120, "running")]
)
def test_an_instance_boots_by_the_clock(elapsed, status):
    assert instance().status(1000 + elapsed) == status


def test_a_fate_overrides_the_boot_from_its_moment_on():
    doomed = instance(fate=Fate(60, "exited"))
    assert [doomed.status(1000 + elapsed) for elapsed in (0, 59, 60, 500)] == [
        None,
        "loading",
        "exited",
        "exited",
    ]


def test_cost_runs_from_renting_to_releasing():
    rented = instance()
    open_entry = LedgerEntry.of(rented, 1500.0)
    assert (open_entry.released_at, open_entry.seconds) == (None, 500)
    assert open_entry.cost_usd == pytest.approx(0.5)
    rented.released_at = 2000.0
    closed = LedgerEntry.of(rented, 9000.0)
    assert (closed.released_at, closed.seconds) == (2000.0, 1000)
    assert closed.cost_usd == pytest.approx(1.0)


def test_the_document_has_the_fields_that_are_relied_on():
    shown = instance().document(1200.0, {"11434/tcp": []})
    assert shown.keys() >= {
        "id", "label", "actual_status", "intended_status", "cur_state", "status_msg", "machine_id",
        "public_ipaddr", "ports", "ssh_host", "ssh_port", "gpu_name", "gpu_totalram", "dph_total",
        "start_date", "template_hash_id",
    }  # fmt: skip
    assert (shown["gpu_totalram"], shown["start_date"], shown["public_ipaddr"]) == (
        49128,
        1000.0,
        "127.0.0.1",
    )


@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "list_stale"},
        {"kind": "becomes", "seconds": 5},
        {"kind": "becomes", "status": "offline"},
        {"kind": "no_such_kind"},
    ],
)
def test_a_fault_that_lacks_its_settings_is_refused(spec):
    with pytest.raises(BadFault):
        VastFaultPlan().add(spec)
