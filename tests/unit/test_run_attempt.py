"""An attempt of the agent, with a driver that does as it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rune_common.adapters.memory import MemoryBlobStore, MemoryRunStore
from rune_common.domain.chain import genesis, verify_chain
from rune_common.domain.driver_protocol import DriverEvent, DriverResult, DriverSuccess, failure
from rune_common.domain.events import EventDraft, append_event
from rune_common.domain.executions import AgentTask
from rune_common.domain.ports import RunRequest
from rune_common.domain.prices import TokenPrice
from rune_common.domain.redaction import Redactor
from rune_common.domain.runs import LogHead, Run, RunKind, RunState, Trigger, transition
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.record_outcome import record_outcome
from rune_common.usecases.run_attempt import AttemptPorts, run_attempt
from rune_common.usecases.start_attempt import start_attempt

ANSWER = DriverSuccess(
    {
        "answer": "cart crashes",
        "token_usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "llm_calls": 2},
        "metadata": {"agent_version": "0.45.0", "warnings": []},
    }
)
KUBECONFIG = "apiVersion: v1\nusers:\n- user:\n    token: eighteen-characters-x\n"


class Call:
    def __init__(self, events: list[DriverEvent], result: DriverResult, wait_for_cancel: bool) -> None:
        self._events, self._result, self._wait = events, result, wait_for_cancel
        self.cancelled = threading.Event()

    def events(self) -> Iterator[DriverEvent]:
        yield from self._events
        if self._wait:
            assert self.cancelled.wait(10)

    def result(self) -> DriverResult:
        return failure("cancelled", "cancelled") if self.cancelled.is_set() else self._result

    def cancel(self, reason: str) -> None:
        self.cancelled.set()


class Driver:
    def __init__(
        self,
        result: DriverResult,
        events: list[tuple[str, Mapping[str, Any]]] | None = None,
        *,
        wait: bool = False,
    ) -> None:
        self._result, self._wait = result, wait
        self._events = [
            DriverEvent(name, n, n * 10, dict(data)) for n, (name, data) in enumerate(events or [], 1)
        ]
        self.params: list[dict[str, Any]] = []
        self.kubeconfigs: list[tuple[str, int]] = []

    def start(self, action: str, params: dict[str, Any], *, request_id: str, deadline: float) -> Call:
        assert action == "ask"
        self.params.append({**params, "deadline": deadline})
        if "kubeconfig" in params:
            path = Path(params["kubeconfig"])
            self.kubeconfigs.append((path.read_text(), path.stat().st_mode & 0o777))
        return Call(self._events, self._result, self._wait)


class Callbacks:
    def __init__(self) -> None:
        self.answers: list[str] = []

    def succeed(self, task_token: str, output: Mapping[str, Any]) -> bool:
        self.answers.append("ok")
        return True

    def fail(self, task_token: str, error: str, cause: str = "") -> bool:
        self.answers.append(error)
        return True

    def heartbeat(self, task_token: str) -> bool:
        return True


class Folders:
    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def open(self) -> Iterator[Path]:
        yield self._path


@pytest.fixture
def runs() -> MemoryRunStore:
    store = MemoryRunStore()
    head = LogHead("t", "r", 0, genesis("t", "r"))
    event, head = append_event(head, EventDraft("run_queued", {}), now_ms=1_000, redactor=Redactor())
    run = Run(
        "t", "r", RunKind.AGENT, RunState.QUEUED, 1_000, 1_000, "me", head, model="m", timeout_seconds=60
    )
    request = RunRequest({"question": "why?", "model": "m"}, {"kubeconfig": KUBECONFIG})
    store.create(run, request, [event])
    change(store, lambda run: replace(run, state=transition(run.state, Trigger.START), started_at=1_000))
    return store


def change(store: MemoryRunStore, edit: Any) -> Run:
    return change_run(
        "t", "r", lambda run: Proposal(edit(run)), runs=store, clock=lambda: 2_000, redactor=Redactor()
    )


class Started:
    """Agents that are started by the test itself."""

    def start(self, task: AgentTask, *, timeout_seconds: int) -> None:
        assert timeout_seconds == 60


def begin(store: MemoryRunStore, task: AgentTask) -> None:
    start_attempt(
        task, runs=store, agents=Started(), clock=lambda: 2_000, redactor=Redactor(), driver_timeout=900
    )


def attempt(store: MemoryRunStore, driver: Driver, tmp_path: Path, **overrides: Any) -> Callbacks:
    callbacks = Callbacks()
    ports = AttemptPorts(
        runs=store,
        blobs=overrides.pop("blobs", MemoryBlobStore()),
        driver=driver,
        callbacks=callbacks,
        workspaces=Folders(tmp_path),
        clock=overrides.pop("clock", lambda: 2_000),
        redactor_for=Redactor,
        prices=overrides.pop("prices", {}),
        poll_seconds=0.01,
    )
    task = AgentTask("t", "r", overrides.pop("attempt_id", "a1"), "token")
    begin(store, task)
    run_attempt(task, ports=ports)
    return callbacks


def log(store: MemoryRunStore) -> list[dict[str, Any]]:
    events = store.events("t", "r", limit=1000).events
    assert verify_chain("t", "r", [event.body for event in events]) == []
    return [event.document() for event in events]


def record(store: MemoryRunStore, error: str | None = None) -> Run:
    record_outcome("t", "r", error=error, runs=store, clock=lambda: 3_000, redactor=Redactor())
    found = store.get("t", "r")
    assert found
    return found


def test_an_answer_becomes_the_result_and_the_last_narrative(runs: MemoryRunStore, tmp_path: Path) -> None:
    assert attempt(runs, Driver(ANSWER), tmp_path).answers == ["ok"]
    run = record(runs)
    assert (run.state, run.message, run.error) == (RunState.SUCCEEDED, "job completed", None)
    result = runs.result("t", "r")
    assert result
    assert result["answer"] == "cart crashes"
    final = next(event for event in log(runs) if event["type"] == "narrative")
    assert final["payload"]["final"] is True
    assert (final["token_usage"], final["usage"]["llm_calls"]) == (120, 2)
    assert log(runs)[-1]["type"] == "run_completed"
    assert runs.request("t", "r") is None


def test_a_model_without_a_price_makes_the_cost_unknown_never_zero(
    runs: MemoryRunStore, tmp_path: Path
) -> None:
    attempt(runs, Driver(ANSWER), tmp_path)
    result = runs.result("t", "r")
    assert result
    assert (result["telemetry"]["cost_usd"], result["telemetry"]["unpriced"]) == (None, True)


def test_a_priced_model_costs_what_its_tokens_cost(runs: MemoryRunStore, tmp_path: Path) -> None:
    attempt(runs, Driver(ANSWER), tmp_path, prices={"m": TokenPrice(2.0, 10.0)})
    result = runs.result("t", "r")
    assert result
    assert result["telemetry"]["cost_usd"] == pytest.approx((100 * 2 + 20 * 10) / 1_000_000)
    assert "unpriced" not in result["telemetry"]


def test_tool_calls_are_logged_with_one_result_each(runs: MemoryRunStore, tmp_path: Path) -> None:
    events = [
        ("agent_ready", {"startup_ms": 6900}),
        ("start_tool_calling", {"tool_name": "bash", "id": "c1", "params": {"command": "kubectl get pods"}}),
        ("start_tool_calling", {"tool_name": "bash", "id": "c2", "params": {"command": "kubectl get nodes"}}),
        (
            "tool_calling_result",
            {"tool_call_id": "c1", "result": {"status": "success", "data": "x 0/1", "return_code": 0}},
        ),
        ("token_count", {"metadata": {"costs": {"prompt_tokens": 60, "completion_tokens": 5}}}),
    ]
    attempt(runs, Driver(ANSWER, events), tmp_path)
    calls = [event for event in log(runs) if event["family"] == "tool"]
    assert [(event["type"], event["call_id"]) for event in calls] == [
        ("tool_call", "c1"),
        ("tool_call", "c2"),
        ("tool_result", "c1"),
        ("tool_result", "c2"),
    ]
    assert [event["payload"].get("status") for event in calls[2:]] == ["success", "aborted"]
    run = record(runs)
    assert (run.usage.input_tokens, run.usage.output_tokens, run.usage.tool_calls) == (100, 20, 2)


def test_the_kubeconfig_reaches_the_driver_as_a_private_file_and_its_token_is_redacted(
    runs: MemoryRunStore, tmp_path: Path
) -> None:
    said = [("ai_message", {"content": "the token is eighteen-characters-x", "reasoning": None})]
    driver = Driver(ANSWER, said)
    attempt(runs, driver, tmp_path)
    assert driver.kubeconfigs == [(KUBECONFIG, 0o600)]
    assert "eighteen-characters-x" not in str(log(runs))
    assert "[REDACTED:known_value]" in str(log(runs))


def test_an_empty_answer_is_a_failure(runs: MemoryRunStore, tmp_path: Path) -> None:
    assert attempt(runs, Driver(DriverSuccess({"answer": "  "})), tmp_path).answers == ["Rune.Permanent"]
    run = record(runs, "Rune.Permanent")
    assert (run.state, run.error_code) == (RunState.FAILED, "EMPTY_ANSWER")


def test_a_transient_failure_before_the_first_model_call_may_be_tried_again(
    runs: MemoryRunStore, tmp_path: Path
) -> None:
    broken = Driver(failure("backend_unreachable", "connection refused"))
    for number in (1, 2):
        assert attempt(runs, broken, tmp_path, attempt_id=f"a{number}").answers == ["Rune.Transient"]
    assert attempt(runs, broken, tmp_path, attempt_id="a3").answers == ["Rune.Permanent"]
    run = record(runs, "Rune.Permanent")
    assert (run.error_code, run.error) == ("LLM_UNREACHABLE", "Agent error: connection refused")


def test_a_transient_failure_after_a_model_call_is_final(runs: MemoryRunStore, tmp_path: Path) -> None:
    driver = Driver(
        failure("backend_unreachable", "reset"), [("heartbeat", {"phase": "llm", "llm_calls": 1})]
    )
    assert attempt(runs, driver, tmp_path).answers == ["Rune.Permanent"]


def test_the_runs_own_deadline_has_its_own_text(runs: MemoryRunStore, tmp_path: Path) -> None:
    driver = Driver(failure("deadline_exceeded", "driver timed out"))
    attempt(runs, driver, tmp_path)
    assert driver.params[0]["deadline"] == pytest.approx(59)
    run = record(runs, "Rune.Permanent")
    assert (run.error_code, run.error) == ("RUN_TIMEOUT", "execution timeout exceeded")


def test_a_cancel_stops_the_driver_and_ends_the_run_cancelled(runs: MemoryRunStore, tmp_path: Path) -> None:
    driver = Driver(ANSWER, [("agent_ready", {})], wait=True)
    threading.Timer(
        0.05, lambda: change(runs, lambda run: replace(run, state=transition(run.state, Trigger.CANCEL)))
    ).start()
    assert attempt(runs, driver, tmp_path).answers == ["Rune.Cancelled"]
    run = record(runs, "Rune.Cancelled")
    assert (run.state, run.error, run.message) == (RunState.CANCELLED, "Cancelled by user", "job cancelled")
    assert log(runs)[-1]["type"] == "run_cancelled"


def test_work_that_was_done_before_the_cancel_is_kept_but_the_run_is_cancelled(
    runs: MemoryRunStore, tmp_path: Path
) -> None:
    attempt(runs, Driver(ANSWER), tmp_path)
    change(runs, lambda run: replace(run, state=transition(run.state, Trigger.CANCEL)))
    run = record(runs)
    assert run.state is RunState.CANCELLED
    assert log(runs)[-1]["payload"]["completed_before_stop"] is True
    result = runs.result("t", "r")
    assert result
    assert result["answer"] == "cart crashes"


def test_a_newer_attempt_fences_the_older_one(runs: MemoryRunStore, tmp_path: Path) -> None:
    driver = Driver(ANSWER, [("agent_ready", {})], wait=True)
    threading.Timer(0.05, lambda: change(runs, lambda run: replace(run, attempt_id="a2"))).start()
    before = runs.get("t", "r")
    assert attempt(runs, driver, tmp_path).answers == []
    after = runs.get("t", "r")
    assert before
    assert after
    assert after.outcome is None
    assert not any(event["type"] == "narrative" for event in log(runs))


def test_the_same_attempt_started_twice_runs_once(runs: MemoryRunStore, tmp_path: Path) -> None:
    driver = Driver(ANSWER)
    attempt(runs, driver, tmp_path)
    assert attempt(runs, driver, tmp_path).answers == []
    assert len(driver.params) == 1


def test_output_that_is_too_large_for_the_log_becomes_an_artifact(
    runs: MemoryRunStore, tmp_path: Path
) -> None:
    blobs = MemoryBlobStore()
    huge = "line\n" * 20_000
    events = [
        ("start_tool_calling", {"tool_name": "bash", "id": "c1", "params": {}}),
        ("tool_calling_result", {"tool_call_id": "c1", "result": {"status": "success", "data": huge}}),
    ]
    attempt(runs, Driver(ANSWER, events), tmp_path, blobs=blobs)
    found = next(event for event in log(runs) if event["type"] == "tool_result")["payload"]["data"]
    assert found["bytes"] == len(huge)
    assert blobs.get(f"t/r/artifacts/{found['artifact_id']}").decode() == huge


def test_a_lost_worker_is_replaced_before_the_first_model_call_and_not_after(
    runs: MemoryRunStore,
) -> None:
    change(runs, lambda run: replace(run, attempt=1, attempt_id="a1"))
    ports = {"runs": runs, "clock": lambda: 3_000, "redactor": Redactor()}
    assert record_outcome("t", "r", error="States.HeartbeatTimeout", **ports) is True
    change(runs, lambda run: replace(run, model_call_begun=True))
    assert record_outcome("t", "r", error="States.HeartbeatTimeout", **ports) is False
    run = runs.get("t", "r")
    assert run
    assert (run.state, run.error_code, run.error) == (RunState.FAILED, "WORKER_LOST", "worker lost")


def test_a_lost_workers_open_tool_calls_are_closed(runs: MemoryRunStore, tmp_path: Path) -> None:
    drafts = [
        EventDraft("tool_call", {"call_id": f"c{n}", "tool_name": "bash"}, call_id=f"c{n}") for n in range(3)
    ]
    change_run(
        "t",
        "r",
        lambda run: Proposal(replace(run, model_call_begun=True), drafts),
        runs=runs,
        clock=lambda: 2_000,
        redactor=Redactor(),
    )
    record(runs, "States.HeartbeatTimeout")
    found = log(runs)
    assert [event["call_id"] for event in found if event["type"] == "tool_result"] == ["c0", "c1", "c2"]
    assert found[-1]["type"] == "run_failed"
