"""What the agent does, as events of the run's log (holmes-driver.md 5, runs-api.md 3.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rune_common.domain.agent_summaries import PROGRESS_SUMMARIES, badge, count, first_line, tool_summary
from rune_common.domain.canonical import canonical_json, normalise
from rune_common.domain.driver_protocol import DriverEvent, DriverFailure, DriverSuccess, EventName
from rune_common.domain.events import EventDraft, EventUsage
from rune_common.domain.prices import PriceBook, cost_micro_usd
from rune_common.domain.tool_results import ACTOR, SUCCESSFUL, aborted_call, tool_span

PULL_PROGRESS_MS = 2_000
RESULT_STATUSES = frozenset({"success", "no_data", "error", "denied", "aborted"})


@dataclass(frozen=True, slots=True)
class _OpenCall:
    """A tool call without its result; `started` is on the driver's clock, `said` its summary."""

    name: str
    started: int
    said: str


@dataclass(slots=True)
class AgentLog:
    """One leg of an agent, from its start to its final line. Feed it in order; it keeps what is open.

    `attempt_id` makes the producer keys. Token counts of the library are cumulative within a leg, so each
    event carries the increase only. `carried` is what the driver's final figures have of earlier legs.
    """

    attempt_id: str
    model: str
    prices: PriceBook = field(default_factory=dict)
    carried: Mapping[str, Any] = field(default_factory=dict)
    model_call_begun: bool = False
    seen_input: int = 0
    seen_output: int = 0
    seen_calls: int = 0
    tool_calls: int = 0
    last_text: str = ""
    _open: dict[str, _OpenCall] = field(default_factory=dict)
    _pull_at: int = -PULL_PROGRESS_MS
    _extra: int = 0

    def drafts(self, event: DriverEvent) -> list[EventDraft]:
        """The log events that one driver event means; none for a heartbeat."""
        if event.event == EventName.HEARTBEAT:
            self.model_call_begun |= (
                count(event.data.get("llm_calls")) > 0 or event.data.get("phase") == "llm"
            )
            return []
        mapping = _MAPPINGS.get(event.event)
        return mapping(self, event) if mapping else []

    def take_over(self, calls: Mapping[str, str]) -> None:
        """Calls, by id with the tool's name, that an earlier leg left open: their results come in this one."""
        self._open |= {call_id: _OpenCall(name, 0, name) for call_id, name in calls.items()}

    def close_open_calls(self) -> list[EventDraft]:
        """Every `tool_call` gets exactly one result: `aborted` for those that will not get another."""
        found = [aborted_call(call_id, call.name) for call_id, call in self._open.items()]
        self._open.clear()
        return found

    def paused(
        self, success: DriverSuccess, pending: Iterable[str], *, duration_ms: float
    ) -> list[EventDraft]:
        """The end of a leg that waits for decisions about `pending` calls, which stay open."""
        for call_id in pending:
            self._open.pop(call_id, None)
        payload = {
            "summary": "agent waits for approval",
            "holmes": {"event": EventName.APPROVAL_REQUIRED},
            "span": {"name": "agent.ask", "status": "ok", "labels": {"model": self.model}},
        }
        usage = self._remaining_usage(success)
        return [
            *self.close_open_calls(),
            self._draft("run_progress", payload, duration_ms=duration_ms, usage=usage),
        ]

    def final(self, success: DriverSuccess, *, duration_ms: float) -> list[EventDraft]:
        """The final answer, with whatever usage the driver reports beyond what its events did."""
        usage = self._remaining_usage(success)
        metadata = success.result.get("metadata") or {}
        payload = {
            "summary": "agent answered",
            "message_id": f"{self.attempt_id}-final",
            "text": str(success.result.get("answer") or ""),
            "final": True,
            "holmes": {"event": EventName.AI_ANSWER_END, "metadata": metadata},
            "span": {"name": "agent.ask", "status": "ok", "labels": {"model": self.model}},
        }
        return [
            *self.close_open_calls(),
            self._draft("narrative", payload, duration_ms=duration_ms, usage=usage),
        ]

    def failed(self, failure: DriverFailure, *, duration_ms: float) -> list[EventDraft]:
        """The end of a leg that gave no answer."""
        payload = {
            "summary": "agent failed",
            "detail": {"error_code": failure.error_code},
            "span": {
                "name": "agent.ask",
                "status": "error",
                "error_type": failure.error_code,
                "labels": {"model": self.model},
            },
        }
        return [*self.close_open_calls(), self._draft("run_progress", payload, duration_ms=duration_ms)]

    def _progress(self, event: DriverEvent) -> list[EventDraft]:
        if event.event == EventName.PULL_PROGRESS:
            if event.t_ms - self._pull_at < PULL_PROGRESS_MS:
                return []
            self._pull_at = event.t_ms
        if event.event == EventName.LLM_RETRY:
            self.model_call_begun = True
        payload = {
            "summary": PROGRESS_SUMMARIES[event.event](event.data),
            "detail": event.data,
            "holmes": {"event": event.event},
        }
        return [self._draft("run_progress", payload, seq=event.seq)]

    def _tool_call(self, event: DriverEvent) -> list[EventDraft]:
        self.model_call_begun = True
        name, call_id = str(event.data.get("tool_name", "")), str(event.data.get("id", ""))
        if not call_id or call_id in self._open:
            call_id = f"{self.attempt_id}-{event.seq}"
        args = event.data.get("params") or {}
        said = tool_summary(name, args)
        self._open[call_id] = _OpenCall(name, event.t_ms, said)
        self.tool_calls += 1
        payload = {
            "summary": said,
            "call_id": call_id,
            "tool_name": name,
            "badge": badge(name),
            "args": args,
            "args_digest": hashlib.sha256(canonical_json(normalise(args, strict=False))).hexdigest(),
            "holmes": {"event": event.event, "turn": event.data.get("turn")},
        }
        return [
            self._draft("tool_call", payload, seq=event.seq, call_id=call_id, usage=EventUsage(tool_calls=1))
        ]

    def _tool_result(self, event: DriverEvent) -> list[EventDraft]:
        result = event.data.get("result") or {}
        call_id = str(event.data.get("tool_call_id", ""))
        if result.get("status") == "approval_required" or call_id not in self._open:
            return []
        status = "denied" if result.get("denied") or event.data.get("denied") else result.get("status")
        status = status if status in RESULT_STATUSES else "error"
        call = self._open[call_id]
        payload = {
            "summary": call.said if status == "success" else f"{call.said} ({status})",
            "data": result.get("data") if status in SUCCESSFUL else result.get("error") or result.get("data"),
            "holmes": {
                "event": event.event,
                "turn": event.data.get("turn"),
                "description": event.data.get("description"),
            },
        }
        if isinstance(result.get("return_code"), int):
            payload["exit_code"] = result["return_code"]
        return [self._result(call_id, str(status), payload, event.t_ms - call.started, seq=event.seq)]

    def _result(
        self,
        call_id: str,
        status: str,
        payload: Mapping[str, Any],
        duration_ms: float,
        *,
        seq: int | None = None,
    ) -> EventDraft:
        name = self._open.pop(call_id).name
        full = {
            **payload,
            "call_id": call_id,
            "tool_name": name,
            "status": status,
            "span": tool_span(name, status),
        }
        return self._draft("tool_result", full, seq=seq, call_id=call_id, duration_ms=max(0, duration_ms))

    def _message(self, event: DriverEvent) -> list[EventDraft]:
        self.model_call_begun = True
        found, message_id = [], f"{self.attempt_id}-{event.seq}"
        holmes = {"event": event.event, "turn": event.data.get("turn")}
        for kind, key, extra in (
            ("reasoning_summary", "reasoning", {}),
            ("narrative", "content", {"final": False}),
        ):
            text = event.data.get(key)
            if text:
                payload = {
                    "summary": first_line(text),
                    "message_id": message_id,
                    "text": text,
                    "holmes": holmes,
                    **extra,
                }
                found.append(self._draft(kind, payload, key=f"{event.seq}.{key}"))
        return found

    def _token_count(self, event: DriverEvent) -> list[EventDraft]:
        self.model_call_begun = True
        metadata = event.data.get("metadata") or {}
        costs = metadata.get("costs") or metadata.get("usage") or {}
        usage = self._usage(
            count(costs.get("prompt_tokens")), count(costs.get("completion_tokens")), self.seen_calls + 1
        )
        payload = {
            "summary": f"{usage.input_tokens + usage.output_tokens} tokens",
            "holmes": {"event": event.event, "turn": event.data.get("turn"), "metadata": metadata},
        }
        return [self._draft("run_progress", payload, seq=event.seq, usage=usage)]

    def _remaining_usage(self, success: DriverSuccess) -> EventUsage:
        """What the driver's final figures have beyond its events, and beyond earlier legs."""
        counted = success.result.get("token_usage") or {}
        names = ("prompt_tokens", "completion_tokens", "llm_calls")
        own = [max(0, count(counted.get(name)) - count(self.carried.get(name))) for name in names]
        return self._usage(*own)

    def _usage(self, input_tokens: int, output_tokens: int, calls: int) -> EventUsage:
        """The increase over what was counted; cumulative figures never go back."""
        added_in, added_out = max(0, input_tokens - self.seen_input), max(0, output_tokens - self.seen_output)
        added_calls = max(0, calls - self.seen_calls)
        self.seen_input += added_in
        self.seen_output += added_out
        self.seen_calls += added_calls
        if not (added_in or added_out or added_calls):
            return EventUsage()
        cost = cost_micro_usd(self.prices, self.model, input_tokens=added_in, output_tokens=added_out)
        return EventUsage(
            added_in,
            added_out,
            added_calls,
            cost_micro_usd=cost or 0,
            unpriced=cost is None,
            model=self.model,
        )

    def _draft(
        self,
        kind: str,
        payload: Mapping[str, Any],
        *,
        seq: int | None = None,
        key: str | None = None,
        call_id: str | None = None,
        duration_ms: float = 0,
        usage: EventUsage | None = None,
    ) -> EventDraft:
        if seq is None and key is None:
            self._extra += 1
        place = key or (str(seq) if seq is not None else f"x{self._extra}")
        return EventDraft(
            type=kind,
            payload=payload,
            actor=ACTOR,
            duration_ms=duration_ms,
            usage=usage or EventUsage(),
            producer_key=f"{self.attempt_id}:{place}",
            call_id=call_id,
        )


_MAPPINGS: Mapping[str, Callable[[AgentLog, DriverEvent], list[EventDraft]]] = {
    **dict.fromkeys(PROGRESS_SUMMARIES, AgentLog._progress),
    EventName.START_TOOL_CALLING: AgentLog._tool_call,
    EventName.TOOL_CALLING_RESULT: AgentLog._tool_result,
    EventName.AI_MESSAGE: AgentLog._message,
    EventName.TOKEN_COUNT: AgentLog._token_count,
}
