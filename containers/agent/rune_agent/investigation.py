"""
One investigation with the library: prompt, tool loop, events, answer (holmes-driver.md 2.4, 2.5, 2.8).

Imports the library, so only the child imports this module.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from holmes.core.conversations import add_or_update_system_prompt
from holmes.core.models import ToolApprovalDecision
from holmes.core.prompt import PromptComponent, build_prompts
from holmes.core.tool_calling_llm import LLMInterruptedError, ToolCallingLLM
from holmes.core.tools_utils.tool_executor import ToolExecutor
from holmes.utils.stream import StreamEvents, StreamMessage

from rune_agent import failures, patches, prompt_controls, toolset
from rune_agent.answer import clean_answer, tool_call_in_text
from rune_agent.order import Order
from rune_agent.problems import AgentProblem
from rune_agent.sizing import sized
from rune_agent.structured import structured_answer
from rune_agent.tally import Tally
from rune_common.domain.driver_protocol import EventName

Json = dict[str, Any]
Emit = Callable[[str, Json], None]


class PhaseReport(Protocol):
    llm_calls: int

    def enter(self, name: str) -> None: ...


class Investigation:
    def __init__(
        self, order: Order, emit: Emit, phase: PhaseReport, stop: threading.Event, *, startup_ms: int
    ) -> None:
        self._order = order
        self._emit = emit
        self._phase = phase
        self._stop = stop
        self._started = time.monotonic()
        self._startup_ms = startup_ms
        self._calls = patches.CallLog()
        self._truncations = patches.Truncations()
        self._tally = Tally(order, self._truncations)
        self._arguments: dict[str, Json] = {}
        self._turn = int(order.carry.get("num_llm_calls") or 0)

    def partial(self) -> Json:
        """What is known so far, for the details of a failure."""
        return {"tool_calls": self._tally.tool_calls, "llm_calls": self._phase.llm_calls}

    def run(self) -> Json:
        """The `ask` result. Raises AgentProblem."""
        self._phase.enter("starting")
        ai, messages = self._prepare()
        try:
            return self._answer(ai, messages)
        except AgentProblem as problem:
            raise AgentProblem(problem.code, problem.text, {**self.partial(), **problem.details}) from problem
        except LLMInterruptedError as exc:
            raise AgentProblem("cancelled", "the run was stopped", self.partial()) from exc
        except Exception as exc:
            if self._stop.is_set():
                raise AgentProblem("cancelled", "the run was stopped", self.partial()) from exc
            found = failures.recognise(exc, self._failed_exchange())
            raise AgentProblem(found.code, found.text, {**self.partial(), **found.details}) from exc

    # -- preparation -------------------------------------------------------------------------------

    def _prepare(self) -> tuple[ToolCallingLLM, list[Json]]:
        patches.verify()
        patches.quiet()
        order = self._order = sized(self._order, self._warn)
        self._tally = Tally(order, self._truncations)
        patches.set_limits(order.max_output_tokens, order.llm_timeout_seconds)
        patches.cut_oversized_results(self._truncations)
        patches.record_calls(self._calls)
        if order.approval_key:
            patches.set_signing_key(order.approval_key)
        patches.pin_names(order.pins)
        sections = prompt_controls.sections(order.behavior_controls)
        toolsets = toolset.build(
            cluster=order.cluster, plans=sections.plans, operator_config=order.operator_toolsets
        )
        executor = ToolExecutor(toolsets)
        ai = ToolCallingLLM(executor, order.max_steps, self._llm(), tool_results_dir=None)
        ready = {
            "toolsets": [ts.name for ts in executor.enabled_toolsets],
            "tools": sorted(executor.tools_by_name),
            "agent_version": patches.LIBRARY_VERSION,
            "startup_ms": self._startup_ms + int((time.monotonic() - self._started) * 1_000),
            "spare": False,
        }
        self._emit(EventName.AGENT_READY, ready)
        for name in sections.unknown:
            self._warn("unknown_prompt_section", f"there is no prompt section {name}")
        return ai, self._messages(executor, sections)

    def _llm(self) -> Any:
        order = self._order
        rules = patches.RetryRules(
            log=self._calls,
            stop=self._stop,
            deadline=self._started + order.timeout_seconds,
            on_call=self._on_call,
            on_answer=self._on_answer,
            on_retry=self._on_retry,
        )
        args = {**order.llm_args, "custom_args": {"max_context_size": order.context_window}}
        return patches.retrying_llm(
            rules, model=order.model, api_key=order.api_key, api_base=order.api_base, args=args
        )

    def _messages(self, executor: ToolExecutor, sections: prompt_controls.PromptSections) -> list[Json]:
        order = self._order
        if order.resume_state:
            messages: list[Json] = list(order.resume_state["messages"])
            if order.question:
                messages.append({"role": "user", "content": order.question})
            return messages
        system, user = build_prompts(
            toolsets=executor.toolsets,
            user_prompt=order.question,
            skills=None,
            global_instructions=None,
            system_prompt_additions=prompt_controls.additions(
                order.additional_system_prompt, ai_safety=sections.ai_safety, cluster=order.cluster
            ),
            cluster_name=order.cluster_name,
            ask_user_enabled=True,
            file_paths=None,
            include_todowrite_reminder=True,
            images=order.images or None,
            prompt_component_overrides={PromptComponent(n): on for n, on in sections.library.items()},
        )
        history = add_or_update_system_prompt([dict(m) for m in order.conversation_history], system)
        return [*history, {"role": "user", "content": user}]

    # -- the loop ----------------------------------------------------------------------------------

    def _answer(self, ai: ToolCallingLLM, messages: list[Json]) -> Json:
        end = self._drain(ai, messages, decisions=self._decisions())
        if end.event == StreamEvents.APPROVAL_REQUIRED:
            return self._pause(end.data)
        answer = clean_answer(end.data.get("content"))
        if not answer:
            # The same question once more: small models sometimes end a turn with nothing.
            end = self._drain(ai, end.data["messages"][:-1], done=end.data["num_llm_calls"] - 1)
            if end.event == StreamEvents.APPROVAL_REQUIRED:
                return self._pause(end.data)
            answer = clean_answer(end.data.get("content"))
        if not answer:
            raise AgentProblem("empty_answer", "the model gave no answer")
        if tool_call_in_text(answer, ai.tool_executor.tools_by_name):
            if not self._tally.tool_calls:
                raise AgentProblem(
                    "tool_call_as_text", "the model wrote a tool call as text instead of calling"
                )
            self._warn("tool_call_as_text", "the answer is a tool call written as text")
        structured = structured_answer(self._order, lambda said: self._format(ai, said), answer, self._warn)
        answer = structured.text if structured else answer
        self._notes(end.data)
        self._emit(
            EventName.AI_ANSWER_END,
            {**_without(end.data, "prompt"), "content": answer, "turn": self._turn},
        )
        return self._tally.completed(answer, structured, end.data)

    def _format(self, ai: ToolCallingLLM, messages: list[Json]) -> str:
        """One call without tools, in the format asked for."""
        response = ai.llm.completion(
            messages=messages, response_format=self._order.response_format, drop_params=True
        )
        self._tally.spent(response.usage)
        return clean_answer(response.choices[0].message.content)

    def _drain(
        self,
        ai: ToolCallingLLM,
        messages: list[Json],
        *,
        decisions: list[ToolApprovalDecision] | None = None,
        done: int | None = None,
    ) -> StreamMessage:
        """Run the library's loop to its end, passing events on. Returns its last message."""
        stream: Iterator[StreamMessage] = ai.call_stream(
            msgs=messages,
            enable_tool_approval=self._order.tool_approval == "pause",
            tool_decisions=decisions,
            cancel_event=self._stop,
            iteration_offset=self._turn if done is None else done,
            response_format=None if self._order.backend_type == "ollama" else self._order.response_format,
        )
        for message in stream:
            if message.event in (StreamEvents.ANSWER_END, StreamEvents.APPROVAL_REQUIRED):
                self._tally.finished_leg(message.data)
                return message
            self._pass_on(message)
        raise AgentProblem("agent_error", "the agent ended without an answer")

    def _pass_on(self, message: StreamMessage) -> None:
        data = {**message.data, "turn": self._turn}
        if message.event == StreamEvents.START_TOOL:
            self._phase.enter("tools")
            self._tally.started()
            data["params"] = self._arguments.get(data["id"], {})
        elif message.event == StreamEvents.TOOL_RESULT:
            data = self._tally.result(data)
        elif message.event == StreamEvents.TOKEN_COUNT:
            data = self._tally.counted(data)
        elif message.event == StreamEvents.CONVERSATION_HISTORY_COMPACTION_START:
            self._phase.enter("compaction")
        self._emit(message.event.value, data)

    def _decisions(self) -> list[ToolApprovalDecision] | None:
        state = self._order.resume_state
        if not state:
            return None
        pending = [call["tool_call_id"] for call in state.get("pending_approvals", [])]
        made = {decision.get("tool_call_id"): decision for decision in self._order.tool_decisions}
        if not pending or not made.keys() & set(pending):
            raise AgentProblem("approval_not_pending", "no pending tool call has this decision")
        # A missing decision is a denial.
        return [
            ToolApprovalDecision(
                tool_call_id=call_id,
                approved=made.get(call_id, {}).get("approved") is True,
                feedback=made.get(call_id, {}).get("feedback"),
            )
            for call_id in pending
        ]

    def _pause(self, data: Json) -> Json:
        pending = data["pending_approvals"]
        self._emit(
            EventName.APPROVAL_REQUIRED,
            {"content": None, "pending_approvals": pending, "messages": data["messages"], "turn": self._turn},
        )
        return self._tally.paused(data)

    # -- what the patches and checks report --------------------------------------------------------

    def _on_call(self, begins_turn: bool) -> None:
        self._phase.llm_calls += 1
        self._tally.llm_calls += 1
        if begins_turn:
            self._turn += 1
            self._tally.new_turn(self._turn)
            self._phase.enter("llm")

    def _on_answer(self, response: Any) -> None:
        """Keep what the model's calls were called with: the library's event for a start does not say."""
        for choice in response.choices:
            for call in choice.message.tool_calls or []:
                self._arguments[call.id] = _arguments(call.function.arguments)

    def _on_retry(self, status: int | None, attempt: int, delay_ms: int) -> None:
        self._emit(EventName.LLM_RETRY, {"status": status, "attempt": attempt, "delay_ms": delay_ms})

    def _notes(self, data: Json) -> None:
        metadata = data.get("metadata") or {}
        if metadata.get("finish_reason") == "length":
            self._warn("answer_cut", "the answer was cut at the output limit")
        if self._order.cluster and not self._tally.tool_calls:
            self._warn("no_tools_used", "the model answered without looking at the cluster")

    def _warn(self, code: str, text: str) -> None:
        self._tally.warnings.append(code)
        self._emit(EventName.WARNING, {"code": code, "text": text})

    def _failed_exchange(self) -> patches.Exchange | None:
        """The call that failed: the last one, if the model did not get to run tools after it."""
        return self._calls.last() if self._tally.waiting_for_llm else None


def _arguments(text: str | None) -> Json:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _without(data: Json, name: str) -> Json:
    return {key: value for key, value in data.items() if key != name}
