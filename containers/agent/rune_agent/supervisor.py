"""
Starts, feeds, watches and kills the child; never imports the library (holmes-driver.md 1.3, 2.7).

One call of `ask` is one child. All that can happen arrives in one inbox, read by the main thread.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rune_agent import params as ask_params
from rune_agent.artifacts import ArtifactFolder
from rune_agent.child_process import ChildEnded, ChildLine, ChildProcess
from rune_agent.params import AskParams
from rune_agent.preflight import Readiness, report
from rune_agent.preparation import Preparation, order_for
from rune_agent.problems import AgentProblem
from rune_agent.settings import AgentSettings
from rune_agent.workspace import Workspace
from rune_common.domain.driver_protocol import (
    ERRORS,
    LINGER_SECONDS,
    STDERR_TAIL_CHARS,
    DriverFailure,
    DriverResult,
    DriverSuccess,
    EventName,
    failure,
)

Json = dict[str, Any]

SILENCE_SECONDS = 60.0
IMPORT_SECONDS = 60.0
PREFLIGHT_SECONDS = 20.0
STOP_SECONDS = 2.6
"""Below the three seconds after which the supervisor itself is killed, so that its final line gets out."""
TICK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Cancel, deadline or shutdown; `code` is the error code of the final line."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Reported:
    """An event of preflight."""

    event: str
    data: Json


@dataclass(frozen=True, slots=True)
class PreflightEnded:
    found: Readiness | AgentProblem


Item = ChildLine | ChildEnded | StopAsked | Reported | PreflightEnded
Inbox = queue.SimpleQueue[Item]
Emit = Callable[[str, Json], None]


class Supervisor:
    """`emit` gets every event; `parent_alive` is asked twice a second, False stops everything."""

    def __init__(
        self, settings: AgentSettings, inbox: Inbox, emit: Emit, parent_alive: Callable[[], bool]
    ) -> None:
        self._settings = settings
        self._inbox = inbox
        self._emit = emit
        self._parent_alive = parent_alive

    def ask(self, raw: Json) -> DriverResult:
        """Run one investigation. Always returns, and leaves no process and no file of its own behind."""
        try:
            asked, ignored = ask_params.parse(raw, default_timeout=self._settings.default_timeout)
        except AgentProblem as problem:
            return problem.failure()
        try:
            preparation = Preparation.of(asked, self._settings)
        except AgentProblem as problem:
            self._emit(EventName.PREFLIGHT, report("address", False, 0, problem.text))
            return problem.failure()
        artifacts = ArtifactFolder(Path(asked.output_dir) if asked.output_dir else None)
        with Workspace.create(self._settings.temporary) as workspace:
            preparation.fill(workspace)
            with self._child(workspace, preparation) as child:
                final = _Ask(self, asked, preparation, child, artifacts).run()
            artifacts.log(child.log)
        if isinstance(final, DriverSuccess):
            final.result["artifacts"] = artifacts.written
            final.result["metadata"]["ignored_params"] = ignored
            return final
        return _with_log(final, child, artifacts)

    @contextmanager
    def _child(self, workspace: Workspace, preparation: Preparation) -> Iterator[ChildProcess]:
        environment = workspace.environment(preparation.ollama_base, preparation.kubectl_mode)
        child = ChildProcess(self._settings.python, environment, str(workspace.root), self._inbox.put)
        try:
            yield child
        finally:
            child.kill()


class _Ask:
    """The course of one `ask`, from the child's start to its final line."""

    def __init__(
        self,
        supervisor: Supervisor,
        asked: AskParams,
        preparation: Preparation,
        child: ChildProcess,
        artifacts: ArtifactFolder,
    ) -> None:
        self._settings = supervisor._settings
        self._inbox, self._emit = supervisor._inbox, supervisor._emit
        self._parent_alive = supervisor._parent_alive
        self._asked = asked
        self._preparation = preparation
        self._child = child
        self._artifacts = artifacts
        self._began = self._heard = time.monotonic()
        self._llm_calls = 0
        self._readiness: Readiness | None = None
        self._preflight_ms = 0
        self._startup_ms = 0
        self._conversation: list[Json] = []

    def run(self) -> DriverResult:
        self._emit(EventName.AGENT_STARTING, {"pid": self._child.pid})
        self._emit(EventName.PREFLIGHT, report("address", True, 0, ""))
        threading.Thread(target=self._preflight, daemon=True).start()
        while True:
            item = self._next()
            if isinstance(item, StopAsked):
                return self._stop(item)
            if isinstance(item, ChildEnded):
                return failure("agent_crashed", "the agent ended without an answer")
            if isinstance(item, PreflightEnded):
                if isinstance(item.found, AgentProblem):
                    return item.found.failure()
                self._order(item.found)
            elif isinstance(item, Reported):
                self._emit(item.event, item.data)
            elif item is not None and (final := self._line(item.document)) is not None:
                self._child.wait(LINGER_SECONDS)
                return final

    # -- what happens ------------------------------------------------------------------------------

    def _next(self) -> Item | None:
        """What the clock says, else the next item; None when nothing happened."""
        if (overdue := self._overdue()) is not None:
            return overdue
        try:
            return self._inbox.get(timeout=TICK_SECONDS)
        except queue.Empty:
            return None

    def _overdue(self) -> StopAsked | None:
        now = time.monotonic()
        if not self._parent_alive():
            return StopAsked("cancelled", "the driver's caller is gone")
        if now - self._began > self._asked.timeout_seconds:
            return StopAsked("deadline_exceeded", "the time for this run is over")
        if self._readiness is None and now - self._began > self._preparation.preflight_seconds(
            PREFLIGHT_SECONDS
        ):
            return StopAsked("backend_timeout", "the checks before the investigation took too long")
        if now - self._heard > (SILENCE_SECONDS if self._startup_ms else IMPORT_SECONDS + PREFLIGHT_SECONDS):
            return StopAsked("agent_crashed", "the agent no longer reports")
        return None

    def _preflight(self) -> None:
        preflight = self._preparation.preflight(lambda event, data: self._inbox.put(Reported(event, data)))
        try:
            found: Readiness | AgentProblem = preflight.run()
        except AgentProblem as problem:
            found = problem
        except Exception as exc:
            found = AgentProblem("agent_error", "the checks before the investigation failed")
            found.__cause__ = exc
        self._inbox.put(PreflightEnded(found))

    def _order(self, readiness: Readiness) -> None:
        self._readiness = readiness
        self._preflight_ms = _ms_since(self._began) - readiness.warmup_ms
        remaining = self._asked.timeout_seconds - (time.monotonic() - self._began)
        try:
            order = order_for(self._asked, self._preparation, readiness, self._settings, remaining)
        except AgentProblem as problem:
            self._inbox.put(PreflightEnded(problem))
            return
        # The pipe holds less than a long conversation: writing must not keep the main thread from its inbox.
        threading.Thread(target=self._child.send, args=(order.document(),), daemon=True).start()

    def _line(self, document: Json) -> DriverResult | None:
        """Pass an event on; returns the final answer when it is one."""
        self._heard = time.monotonic()
        if "status" in document:
            return self._final(document)
        name, data = str(document.get("event")), document.get("data") or {}
        if name == EventName.HEARTBEAT:
            self._llm_calls = max(self._llm_calls, int(data.get("llm_calls") or 0))
        elif name == EventName.AGENT_READY:
            self._startup_ms = _ms_since(self._began)
            data = {**data, "startup_ms": self._startup_ms}
        elif name == EventName.TOOL_CALLING_RESULT:
            self._artifacts.tool_output(data)
        if name in (EventName.AI_ANSWER_END, EventName.APPROVAL_REQUIRED):
            self._conversation = data.get("messages") or []
        self._emit(name, data)
        return None

    def _final(self, document: Json) -> DriverResult:
        if self._conversation:
            self._artifacts.conversation(self._conversation)
        if document["status"] == "ok":
            result = document["result"]
            readiness = self._readiness or Readiness(0, False)
            result["metadata"]["warnings"] = [*readiness.warnings, *result["metadata"]["warnings"]]
            result["telemetry"]["latency"] = [
                {"phase": "preflight", "ms": self._preflight_ms},
                {"phase": "startup", "ms": self._startup_ms},
                {"phase": "warmup", "ms": readiness.warmup_ms},
                *result["telemetry"]["latency"],
                {"phase": "total", "ms": _ms_since(self._began)},
            ]
            return DriverSuccess(result)
        code = document["error_code"]
        details = document.get("details") or {}
        begun = max(self._llm_calls, int(details.get("llm_calls") or 0)) > 0
        # Once the model has been called only the retries of one call apply.
        return DriverFailure(code, document["error"], ERRORS[code].transient and not begun, details)

    # -- the end -----------------------------------------------------------------------------------

    def _stop(self, asked: StopAsked) -> DriverResult:
        """Stop the group; the child's own final line counts if it is there in time."""
        self._child.ask_to_stop()
        until = time.monotonic() + STOP_SECONDS
        details: Json = {}
        while (left := until - time.monotonic()) > 0:
            try:
                item = self._inbox.get(timeout=left)
            except queue.Empty:
                break
            if isinstance(item, ChildEnded):
                break
            if isinstance(item, ChildLine) and (final := self._line(item.document)) is not None:
                if isinstance(final, DriverSuccess):
                    return final
                details = final.details
                break
        begun = self._llm_calls > 0 or bool(details.get("llm_calls"))
        return DriverFailure(asked.code, asked.text, ERRORS[asked.code].transient and not begun, details)


def _with_log(final: DriverFailure, child: ChildProcess, artifacts: ArtifactFolder) -> DriverFailure:
    details = {**final.details, "artifacts": artifacts.written}
    if final.error_code == "agent_crashed":
        details["stderr"] = artifacts.redactor.text(child.log_tail)[0][-STDERR_TAIL_CHARS:]
    return DriverFailure(final.error_code, final.error, final.retryable, details)


def _ms_since(began: float) -> int:
    return int((time.monotonic() - began) * 1_000)
