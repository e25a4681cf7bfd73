"""events/ has one event for each function, of the shape that the function gets."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from tests.contract.deployment import ROOT, Function, functions
from tests.contract.test_stream_filters import passes

EVERY = {function.folder: function for function in functions()}
MACHINES = [json.loads(path.read_text()) for path in sorted((ROOT / "statemachines").glob("*.asl.json"))]


def sample(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "events" / f"{folder}.json").read_text())
    return found


def called_by_machine(function: Function) -> list[dict[str, Any]]:
    """The payloads that the state machines give a function."""
    parameters = [state.get("Parameters", {}) for machine in MACHINES for state in machine["States"].values()]
    return [
        each["Payload"] for each in parameters if each.get("FunctionName") == f"${{{function.logical_id}Arn}}"
    ]


def test_every_function_has_a_sample_and_every_sample_a_function() -> None:
    assert sorted(path.stem for path in (ROOT / "events").glob("*.json")) == sorted(EVERY)


@pytest.mark.parametrize("folder", sorted(each for each, found in EVERY.items() if found.events("Api")))
def test_a_sample_request_takes_a_path_that_is_deployed(folder: str) -> None:
    event = sample(folder)
    routes = [(source["Path"], source["Method"]) for source in EVERY[folder].events("Api")]
    assert {(event["resource"], event["httpMethod"]), (event["resource"], "ANY")} & set(routes)
    assert event["resource"].format(**event["pathParameters"] or {}) == event["path"]


@pytest.mark.parametrize("folder", sorted(each for each, found in EVERY.items() if found.events("DynamoDB")))
def test_a_sample_record_passes_the_filter(folder: str) -> None:
    records = sample(folder)["Records"]
    assert records
    assert all(passes(folder, record) for record in records)


@pytest.mark.parametrize("folder", sorted(each for each, found in EVERY.items() if called_by_machine(found)))
def test_a_sample_of_a_step_has_the_fields_that_the_machine_sends(folder: str) -> None:
    for payload in called_by_machine(EVERY[folder]):
        assert set(sample(folder)) == {name.removesuffix(".$") for name in payload}


def test_samples_hold_no_address_outside_the_ranges_for_documentation() -> None:
    text = "".join(path.read_text() for path in (ROOT / "events").glob("*.json"))
    addresses = re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text)
    assert addresses
    assert all(each.startswith(("192.0.2.", "198.51.100.", "203.0.113.")) for each in addresses)
