"""Before the agent is asked: the model server answers, has the model, and has loaded it (jobs-api.md 4.10, 5.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rune_common.domain.errors import RunCancelled, RunFailure, Unavailable
from rune_common.domain.events import EventDraft, Redacting
from rune_common.domain.ports import Clock, ModelServer, ModelServers, RunStore
from rune_common.domain.runs import Run, RunState
from rune_common.usecases.change_run import Proposal, change_run

READY_SECONDS = 20
"""How long a server that was given by its address may take to answer; a rented one gets longer."""

READY_EVERY_SECONDS = 2.0
WARM_UP_SECONDS = 90
MIN_CONTEXT = 12_288
UNREACHABLE = "Agent error: the model server does not answer"


@dataclass(frozen=True, slots=True)
class PreparePorts:
    runs: RunStore
    servers: ModelServers
    clock: Clock
    redactor: Redacting
    sleep: Callable[[float], None]
    context_window: int


def prepare_backend(tenant: str, run_id: str, *, ports: PreparePorts) -> bool:
    """Carry out phases 3 and 5 of a run whose model server has an address.

    True once the agent can be asked. Raises RunFailure with the code and text of what is wrong, and
    RunCancelled. Repeating is harmless: what is done already is found done.
    """
    run = ports.runs.get(tenant, run_id)
    if run is None or run.terminal:
        return True
    request = ports.runs.request(tenant, run_id)
    document = request.document if request else {}
    url = document.get("backend_url")
    if not url:
        return True
    server = ports.servers.open(run.backend_type, str(url))
    phase = _Phase(run, ports)
    _wait_ready(server, phase)
    if run.backend_type != "ollama":
        return True
    window = _check_model(server, phase)
    if document.get("backend_warmup", True):
        _warm_up(server, phase, document, window)
    return True


class _Phase:
    """Shows a phase in the run and the log, and notices a cancel."""

    def __init__(self, run: Run, ports: PreparePorts) -> None:
        self.run, self.ports, self.began = run, ports, ports.clock()

    def begin(self, name: str, message: str) -> None:
        self.began = self.ports.clock()
        self._change(lambda run: Proposal(replace(run, phase=name, message=message, percent=None)))

    def done(self, span: str, summary: str, labels: Mapping[str, Any]) -> None:
        draft = EventDraft(
            "run_progress",
            {"summary": summary, "span": {"name": span, "status": "ok", "labels": dict(labels)}},
            duration_ms=self.ports.clock() - self.began,
        )
        self._change(lambda run: Proposal(run, [draft]))

    def warn(self, code: str) -> None:
        def decide(run: Run) -> Proposal | None:
            if code in run.warnings:
                return None
            payload = {
                "summary": f"warning: {code}",
                "detail": {"code": code},
                "span": {"name": "job.warning", "status": "ok", "labels": {"code": code}},
            }
            return Proposal(
                replace(run, warnings=(*run.warnings, code)), [EventDraft("run_progress", payload)]
            )

        self._change(decide)

    def fail(self, span: str, run_code: str, text: str) -> RunFailure:
        """Log that the phase failed; the caller raises what is returned."""
        payload = {
            "summary": text.removeprefix("Agent error: "),
            "span": {"name": span, "status": "error", "error_type": run_code.lower(), "labels": {}},
        }
        draft = EventDraft("run_progress", payload, duration_ms=self.ports.clock() - self.began)
        self._change(lambda run: Proposal(run, [draft]))
        return RunFailure(run_code, text)

    def stopping(self) -> bool:
        found = self.ports.runs.get(self.run.tenant, self.run.run_id)
        return found is None or found.terminal or found.state is RunState.CANCELLING

    def expired(self) -> bool:
        return self.run.deadline_at is not None and self.ports.clock() >= self.run.deadline_at

    def _change(self, decide: Callable[[Run], Proposal | None]) -> None:
        def guarded(run: Run) -> Proposal | None:
            if run.terminal or run.state is RunState.CANCELLING:
                raise RunCancelled(run.run_id)
            return decide(run)

        change_run(
            self.run.tenant,
            self.run.run_id,
            guarded,
            runs=self.ports.runs,
            clock=self.ports.clock,
            redactor=self.ports.redactor,
        )


def _wait_ready(server: ModelServer, phase: _Phase) -> None:
    phase.begin("wait_ready", "waiting for the model server")
    until = phase.began + READY_SECONDS * 1000
    while not server.ready():
        if phase.ports.clock() >= until or phase.expired():
            raise phase.fail("backend.wait_ready", "BACKEND_NOT_READY", UNREACHABLE)
        if phase.stopping():
            raise RunCancelled(phase.run.run_id)
        phase.ports.sleep(READY_EVERY_SECONDS)
    phase.done("backend.wait_ready", "model server is ready", {"backend_type": phase.run.backend_type})


def _check_model(server: ModelServer, phase: _Phase) -> int:
    """The context window to load the model with."""
    model, configured = phase.run.model, phase.ports.context_window
    try:
        if not server.installed(model):
            text = "Agent error: the model server does not have the model"
            raise phase.fail("backend.wait_ready", "MODEL_NOT_AVAILABLE", text)
        abilities = server.abilities(model)
    except Unavailable:
        raise phase.fail("backend.wait_ready", "BACKEND_NOT_READY", UNREACHABLE) from None
    if abilities.capabilities is None:
        phase.warn("model_without_tools")
    elif "tools" not in abilities.capabilities:
        text = "Agent error: the model does not support tools"
        raise phase.fail("backend.wait_ready", "MODEL_LACKS_TOOLS", text)
    window = min(abilities.context_length or configured, configured)
    if window < MIN_CONTEXT:
        text = "Agent error: the model's context window is too small for the agent"
        raise phase.fail("backend.wait_ready", "CONTEXT_WINDOW", text)
    return window


def _warm_up(server: ModelServer, phase: _Phase, document: Mapping[str, Any], window: int) -> None:
    phase.begin("warm_up", "warming up model")
    seconds = int(document.get("backend_warmup_timeout") or WARM_UP_SECONDS)
    loaded = server.warm_up(
        phase.run.model, context_window=window, timeout_seconds=seconds, stop=phase.stopping
    )
    if phase.stopping():
        raise RunCancelled(phase.run.run_id)
    if not loaded:
        text = "Agent error: the model could not be loaded"
        raise phase.fail("ollama.model.warmup", "BACKEND_WARMUP_FAILED", text)
    phase.done("ollama.model.warmup", "model is loaded", {"model": phase.run.model, "context_window": window})
