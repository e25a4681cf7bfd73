"""An agent that wants to do what has to be allowed, its run, and the people who decide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.unit.agent_runs import REDACTOR, Answers, Executions, Time, log, queued, stored
from tests.unit.scripted_driver import Folders

from rune_common.adapters.memory import MemoryBlobStore, MemoryRunStore
from rune_common.domain.access import Principal
from rune_common.domain.approvals import Approval, Decision
from rune_common.domain.driver_protocol import DriverEvent, DriverResult, DriverSuccess
from rune_common.domain.executions import AgentTask
from rune_common.domain.fold import fold
from rune_common.domain.redaction import Redactor
from rune_common.domain.runs import Run
from rune_common.usecases.admit_run import admit_run
from rune_common.usecases.await_approval import await_approval, wake_run
from rune_common.usecases.decide_approvals import DecisionPorts, NamedDecision, decide_approval
from rune_common.usecases.expire_waits import expire_waits
from rune_common.usecases.record_outcome import record_outcome
from rune_common.usecases.run_attempt import AttemptPorts, run_attempt
from rune_common.usecases.start_attempt import start_attempt

B = Principal("b", "human", "t")
ME = Principal("me", "human", "t")
DELETE = "kubectl delete pod cart"
Json = dict[str, Any]


def call(number: int, command: str = DELETE) -> Json:
    return {
        "tool_call_id": f"c{number}",
        "tool_name": "bash",
        "description": f"run {command}",
        "params": {"command": command},
    }


class Leg:
    def __init__(self, events: list[tuple[str, Json]], result: Json) -> None:
        self._events, self._result = events, result

    def events(self) -> Iterator[DriverEvent]:
        for number, (name, data) in enumerate(self._events, 1):
            yield DriverEvent(name, number, number * 10, data)

    def result(self) -> DriverResult:
        return DriverSuccess(self._result)

    def cancel(self, reason: str) -> None:
        """It has ended anyhow."""


@dataclass
class PausingDriver:
    """Pauses once for each list of calls, then answers. `done` is what was executed, in order.

    A call is executed when its decision says so, as the real one does it.
    """

    pauses: list[list[Json]] = field(default_factory=lambda: [[call(1)]])
    done: list[str] = field(default_factory=list)
    asked: list[Json] = field(default_factory=list)

    def start(self, action: str, params: Json, *, request_id: str, deadline: float) -> Leg:
        self.asked.append(params)
        events: list[tuple[str, Json]] = [("agent_ready", {})]
        state = params.get("resume_state") or {"pending_approvals": [], "carry": {"usage": _usage(0)}}
        decisions = {each["tool_call_id"]: each for each in params.get("tool_decisions", ())}
        for pending in state["pending_approvals"]:
            events.append(self._settled(pending, decisions.get(pending["tool_call_id"], {})))
        legs = len(self.asked)
        if params["tool_approval"] == "pause" and legs <= len(self.pauses):
            pending = self.pauses[legs - 1]
            events += [
                (
                    "start_tool_calling",
                    {"tool_name": "bash", "id": each["tool_call_id"], "params": each["params"]},
                )
                for each in pending
            ]
            kept = {"pending_approvals": pending, "messages": ["signed"], "carry": {"usage": _usage(legs)}}
            result = {"outcome": "approval_required", "pending_approvals": pending, "resume_state": kept}
        else:
            result = {"outcome": "completed", "answer": "settled", "metadata": {"agent_version": "1"}}
        return Leg(events, {**result, "token_usage": _usage(legs)})

    def _settled(self, pending: Json, decision: Json) -> tuple[str, Json]:
        name = pending["tool_call_id"]
        if decision.get("approved") is True:
            self.done.append(pending["params"]["command"])
            return "tool_calling_result", {
                "tool_call_id": name,
                "result": {"status": "success", "data": "deleted"},
            }
        error = {"status": "error", "error": f"Tool call rejected: {decision.get('feedback')}"}
        return "tool_calling_result", {"tool_call_id": name, "denied": True, "result": error}


def _usage(legs: int) -> Json:
    return {"prompt_tokens": 100 * legs, "completion_tokens": 10 * legs, "llm_calls": legs}


class Started:
    def start(self, task: AgentTask, *, timeout_seconds: int) -> None:
        """The test runs the agent itself."""


class Story:
    """One run from its admission on; `policy` is its request's `approval`."""

    def __init__(
        self,
        *pauses: list[Json],
        driver: PausingDriver | None = None,
        tenant: str = "t",
        created_by: str = "me",
        clock: Any = None,
        **policy: Any,
    ) -> None:
        self.tenant = tenant
        self.store, self.time, self.blobs = MemoryRunStore(), clock or Time(), MemoryBlobStore()
        self.driver = driver or PausingDriver(list(pauses) or [[call(1)]])
        self.executions, self.answers = Executions(), Answers()
        document = {"question": "why?", "approval": {"mode": "policy", **policy}}
        queued(
            self.store,
            "r",
            tenant=tenant,
            at=self.time(),
            document=document,
            created_by=created_by,
            owner="me",
            holds_slot=True,
            model="m",
        )
        admit_run(tenant, "r", **self.ports())
        self.legs = 0

    @property
    def run(self) -> Run:
        return stored(self.store, "r", tenant=self.tenant)

    @property
    def approvals(self) -> list[Approval]:
        return list(self.store.approvals(self.tenant, "r"))

    def types(self) -> list[str]:
        return [event["type"] for event in self.log()]

    def log(self) -> list[Json]:
        """The log, which says of the run what its record and its approvals say."""
        found = log(self.store, "r", tenant=self.tenant)
        status = fold(found)
        assert [each.document() for each in self.approvals] == list(status.approvals.approvals.values())
        shown = {"succeeded": "completed"}.get(str(self.run.state), str(self.run.state))
        assert status.status == shown
        return found

    def ask(self) -> None:
        """One leg of the agent."""
        self.legs += 1
        task = AgentTask(self.tenant, "r", f"leg{self.legs}", f"ask{self.legs}")
        ports = self.ports()
        start_attempt(task, agents=Started(), driver_timeout=900, **ports)
        given = AttemptPorts(
            runs=self.store,
            blobs=self.blobs,
            driver=self.driver,
            callbacks=self.answers,
            workspaces=Folders(),
            clock=self.time,
            redactor_for=Redactor,
            prices={},
            approval_key=lambda: "a-key",
            poll_seconds=0.01,
        )
        run_attempt(task, ports=given)

    def wait(self) -> None:
        await_approval(self.tenant, "r", "waiting", **self.ports())

    def decide(self, number: int = 1, *, approve: bool = True, who: Principal = B, **fields: Any) -> Json:
        found = self.approvals[number - 1]
        decision = Decision(approve, None if approve else "not today", **fields)
        ports = DecisionPorts(self.store, self.time, REDACTOR)
        answer = decide_approval("r", NamedDecision(decision, found.approval_id), who, None, ports=ports)
        return dict(answer.body)

    def wake(self) -> bool:
        return wake_run(self.tenant, "r", runs=self.store, callbacks=self.answers)

    def sweep(self) -> None:
        expire_waits(
            executions=self.executions, callbacks=self.answers, owner="me", max_running=9, **self.ports()
        )

    def record(self, error: str | None = None) -> Run:
        record_outcome(self.tenant, "r", error=error, **self.ports())
        return self.run

    def ports(self) -> Json:
        return {"runs": self.store, "clock": self.time, "redactor": REDACTOR}
