"""The shared core of the simulators: clock, faults, request log, refusal (holmes-driver.md 6)."""

from __future__ import annotations

import json
import threading

import pytest

from rune.sandbox.clock import Clock
from rune.sandbox.exchange import SimRequest, SimResponse
from rune.sandbox.faults import COMMON_KINDS, BadFault, Fault, FaultPlan, apply_common
from rune.sandbox.request_log import MASK, RequestLog
from rune.sandbox.simulator import SandboxRefused, refuse_in_aws


def request(method: str = "POST", path: str = "/api/chat", body: bytes = b"", **headers: str) -> SimRequest:
    return SimRequest(method, path, {}, headers, body)


def hits(plan: FaultPlan, count: int, asked: SimRequest | None = None) -> list[bool]:
    return [plan.pick(asked or request()) is not None for _ in range(count)]


def test_a_manual_clock_moves_only_when_told_to():
    clock = Clock(manual=True, start=1000.0)
    assert clock.time() == 1000.0
    clock.advance(30)
    assert clock.time() == 1030.0


def test_a_clock_never_runs_back():
    with pytest.raises(ValueError, match="moved back"):
        Clock().advance(-1)


@pytest.mark.parametrize("manual", [True, False])
def test_advancing_the_clock_wakes_a_sleeper(manual):
    clock = Clock(manual=manual)
    slept: list[bool] = []
    sleeper = threading.Thread(target=lambda: slept.append(clock.sleep(3600)))
    sleeper.start()
    clock.advance(3600)
    sleeper.join(10)
    assert slept == [True]


def test_a_sleep_ends_when_it_is_told_to_stop():
    assert Clock(manual=True).sleep(float("inf"), stop=lambda: True) is False


def test_the_first_matching_fault_wins():
    plan = FaultPlan()
    plan.add({"kind": "garbage", "match": {"path": "/api/tags"}})
    plan.add({"kind": "status", "status": 429, "match": {"method": "post", "path": "/api/*"}})
    plan.add({"kind": "reset"})
    picked = [plan.pick(request("GET", "/api/tags")), plan.pick(request()), plan.pick(request("GET", "/"))]
    assert [fault.kind for fault in picked if fault] == ["garbage", "status", "reset"]


def test_a_fault_can_look_at_the_body():
    plan = FaultPlan()
    plan.add({"kind": "reset", "match": {"body_contains": "llama"}})
    assert plan.pick(request(body=b'{"model": "qwen"}')) is None
    assert plan.pick(request(body=b'{"model": "llama"}')) is not None


def test_a_fault_spares_the_first_requests_and_is_then_spent():
    plan = FaultPlan()
    plan.add({"kind": "reset", "after": 1, "times": 2})
    assert hits(plan, 5) == [False, True, True, False, False]


def test_a_spent_fault_leaves_its_requests_to_the_next():
    plan = FaultPlan()
    plan.add({"kind": "reset", "times": 1})
    plan.add({"kind": "garbage"})
    picked = [plan.pick(request()) for _ in range(2)]
    assert [fault.kind for fault in picked if fault] == ["reset", "garbage"]


def test_the_same_seed_hits_the_same_requests():
    plans = [FaultPlan(), FaultPlan()]
    for plan in plans:
        plan.add({"kind": "reset", "probability": 0.5, "seed": 7})
    first, second = (hits(plan, 40) for plan in plans)
    assert first == second
    assert 0 < sum(first) < 40


@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "no_such_kind"},
        {},
        {"kind": "latency"},
        {"kind": "status"},
        {"kind": "reset", "probability": 2},
        {"kind": "reset", "match": {"host": "x"}},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(spec):
    with pytest.raises(BadFault):
        FaultPlan().add(spec)


def test_a_simulator_can_know_kinds_of_its_own():
    plan = FaultPlan(COMMON_KINDS | {"offer_gone"})
    plan.add({"kind": "offer_gone", "offer": 7})
    fault = plan.pick(request())
    assert fault is not None
    assert fault.options == {"offer": 7}


def test_latency_follows_the_clock_and_then_answers():
    clock = Clock(manual=True)
    answered: list[SimResponse] = []
    fault = Fault("latency", options={"seconds": 600})
    waiting = threading.Thread(
        target=lambda: answered.append(
            apply_common(fault, request(), lambda: SimResponse.text("late"), clock=clock, stop=lambda: False)
        )
    )
    waiting.start()
    assert answered == []
    clock.advance(600)
    waiting.join(10)
    assert [response.body for response in answered] == [b"late"]


def test_the_request_log_masks_secrets_and_keeps_the_rest():
    log = RequestLog()
    body = {"model": "m", "api_key": "sk-1", "nested": [{"access_token": "t"}], "max_tokens": 5}
    asked = SimRequest(
        "POST",
        "/x",
        {"token": ["q"], "limit": ["5"]},
        {"authorization": "Bearer abc", "x-api-key": "k", "accept": "*/*"},
        json.dumps(body).encode(),
    )
    log.add(asked, 1.0)
    (entry,) = log.entries()
    assert entry.headers == {"authorization": f"Bearer {MASK}", "x-api-key": MASK, "accept": "*/*"}
    assert entry.query == {"token": [MASK], "limit": ["5"]}
    assert entry.json() == {
        "model": "m",
        "api_key": MASK,
        "nested": [{"access_token": MASK}],
        "max_tokens": 5,
    }
    shown = json.dumps(log.as_json())
    assert not any(secret in shown for secret in ("sk-1", "abc", '"t"'))


def test_what_became_of_a_request_is_forgotten_by_a_reset():
    log = RequestLog()
    number = log.add(request(), 1.0)
    log.clear()
    log.note(number, status=200)
    assert log.entries() == []


@pytest.mark.parametrize(
    "environ",
    [
        {"AWS_LAMBDA_FUNCTION_NAME": "f"},
        {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"},
        {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.13"},
        {"AWS_EXECUTION_ENV": "AWS_ECS_FARGATE"},
        {"ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/x"},
    ],
)
def test_simulators_refuse_to_start_where_real_work_is_done(environ):
    with pytest.raises(SandboxRefused):
        refuse_in_aws(environ)


def test_simulators_start_on_a_developers_machine():
    refuse_in_aws({"AWS_PROFILE": "dev", "AWS_REGION": "eu-central-1"})
