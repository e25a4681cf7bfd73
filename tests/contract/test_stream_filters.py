"""The filters of the runs table's stream let through what the consumers act on, and nothing else."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from tests.contract.deployment import functions

from rune_common.adapters.dynamodb_stream import event_appended, run_moved
from rune_common.domain.runs import RunState

STATES = [None, *RunState]


def matches(pattern: Any, found: Any) -> bool:
    """EventBridge's rules, as far as the filters use them: values, anything-but, and what may not be there."""
    if isinstance(pattern, dict):
        if found is None and all(is_absence(child) for child in pattern.values()):
            return True
        return isinstance(found, dict) and all(
            matches(child, found.get(name)) for name, child in pattern.items()
        )
    if is_absence(pattern):
        return found is None
    return found is not None and any(meets(rule, found) for rule in pattern)


def meets(rule: Any, found: Any) -> bool:
    if isinstance(rule, dict) and "prefix" in rule:
        return str(found).startswith(rule["prefix"])
    return found not in rule["anything-but"] if isinstance(rule, dict) else bool(found == rule)


def is_absence(pattern: Any) -> bool:
    return bool(pattern == [{"exists": False}])


def passes(folder: str, record: dict[str, Any]) -> bool:
    function = next(each for each in functions() if each.folder == folder)
    (source,) = function.events("DynamoDB")
    return any(matches(json.loads(each["Pattern"]), record) for each in source["FilterCriteria"]["Filters"])


def head(state: RunState, sk: str = "HEAD") -> dict[str, Any]:
    return {"sk": {"S": sk}, "tenant": {"S": "default"}, "run_id": {"S": "r"}, "state": {"S": state.value}}


def record(before: RunState | None, after: RunState, sk: str = "HEAD") -> dict[str, Any]:
    change = {"NewImage": head(after, sk)} | ({"OldImage": head(before, sk)} if before else {})
    return {"eventName": "MODIFY" if before else "INSERT", "dynamodb": change}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(STATES, RunState)))
def test_a_consumer_gets_exactly_the_moves_that_it_acts_on(before: RunState | None, after: RunState) -> None:
    moved = run_moved(record(before, after))
    assert moved is not None
    assert passes("on_run_queued", record(before, after)) == moved.queued
    # A run is never new and ended at once, so the filter need not ask for that.
    if before is not None:
        assert passes("on_run_ended", record(before, after)) == moved.ended
        assert passes("seal_evidence", record(before, after)) == moved.ended


@pytest.mark.parametrize(("old", "new"), list(itertools.product([False, True], repeat=2)))
def test_a_release_is_delivered_once(old: bool, new: bool) -> None:
    change = record(RunState.SUCCEEDED, RunState.SUCCEEDED)
    for image, releasing in (("OldImage", old), ("NewImage", new)):
        change["dynamodb"][image] |= {"releasing": {"BOOL": True}} if releasing else {}
    moved = run_moved(change)
    assert moved is not None
    assert passes("on_instance_released", change) == moved.released == (new and not old)


@pytest.mark.parametrize(("old", "new"), list(itertools.product([False, True], repeat=2)))
def test_the_end_of_a_wait_is_delivered_once(old: bool, new: bool) -> None:
    change = record(RunState.AWAITING_APPROVAL, RunState.RUNNING)
    for image, woken in (("OldImage", old), ("NewImage", new)):
        change["dynamodb"][image] |= {"woken": {"BOOL": True}} if woken else {}
    moved = run_moved(change)
    assert moved is not None
    assert passes("on_approval_decided", change) == moved.woken == (new and not old)


@pytest.mark.parametrize(
    "folder", ["on_run_queued", "on_approval_decided", "on_run_ended", "on_instance_released"]
)
def test_other_items_of_the_table_are_not_delivered(folder: str) -> None:
    for before, after in itertools.product(STATES, RunState):
        assert not passes(folder, record(before, after, sk="EVT#000000000001"))


def test_every_new_event_is_counted_and_nothing_else() -> None:
    event = {
        "pk": {"S": "T#default#R#r"},
        "sk": {"S": "EVT#000000000007"},
        "type": {"S": "x"},
        "line": {"S": "{}"},
    }
    new: dict[str, Any] = {"eventName": "INSERT", "dynamodb": {"NewImage": event}}
    assert passes("on_event_appended", new)
    appended = event_appended(new)
    assert appended is not None
    assert (appended.tenant, appended.run_id, appended.event.sequence) == ("default", "r", 7)
    expired = {"eventName": "REMOVE", "dynamodb": {"OldImage": event}}
    for other in (expired, record(None, RunState.QUEUED), record(RunState.QUEUED, RunState.RUNNING)):
        assert not passes("on_event_appended", other)
        assert event_appended(other) is None


def test_a_deleted_run_is_not_delivered() -> None:
    gone = {"eventName": "REMOVE", "dynamodb": {"OldImage": head(RunState.SUCCEEDED)}}
    assert not passes("on_run_queued", gone)
    assert not passes("on_run_ended", gone)
    assert not passes("seal_evidence", gone)


def test_a_record_that_fails_is_isolated_retried_and_then_kept() -> None:
    sources = [source for function in functions() for source in function.events("DynamoDB")]
    assert sources
    for source in sources:
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert source["BisectBatchOnFunctionError"] is True
        assert source["MaximumRetryAttempts"] > 0
        assert source["DestinationConfig"]["OnFailure"]["Type"] == "SQS"
        assert source["StartingPosition"] == "TRIM_HORIZON"
