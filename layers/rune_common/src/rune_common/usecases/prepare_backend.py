"""Before the agent is asked: the model server answers, has the model, and has loaded it (jobs-api.md 4.10, 5.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rune_common.domain.errors import BackendNotAllowed, RunCancelled, Unavailable
from rune_common.domain.events import Redacting
from rune_common.domain.model_servers import ModelAbilities, ModelServer, ModelServers
from rune_common.domain.ports import Clock, RunStore
from rune_common.domain.runs import RunKind
from rune_common.usecases.phase import Phase
from rune_common.usecases.pull_model import STEP_SECONDS, pull_model
from rune_common.usecases.wait_ready import SPAN, UNREACHABLE, look_at_rented, wait_given

WARM_UP_SECONDS = 90
MIN_CONTEXT = 12_288
NOT_INSTALLED = "Agent error: the model server does not have the model"


@dataclass(frozen=True, slots=True)
class PreparePorts:
    """`ready_timeout`: seconds that a rented instance's model server may take to answer."""

    runs: RunStore
    servers: ModelServers
    clock: Clock
    redactor: Redacting
    sleep: Callable[[float], None]
    context_window: int
    ready_timeout: int = 300


def prepare_backend(tenant: str, run_id: str, *, ports: PreparePorts) -> bool:
    """Carry out phases 3 to 5 of a run whose model server has an address, or a part of them.

    True once the agent can be asked; False: call again after a pause. Raises RunFailure with the code and text
    of what is wrong, and RunCancelled. Repeating is harmless: what is done already is found done.
    """
    run = ports.runs.get(tenant, run_id)
    if run is None or run.terminal:
        return True
    document = ports.runs.request_document(tenant, run_id) or {}
    url = run.backend_url or document.get("backend_url")
    if not url:
        return True
    phase = Phase(run, ports)
    server = _open(phase, str(url), ports)
    rented = bool(run.rentals)
    if not rented:
        wait_given(server, phase, ports.sleep)
    elif not _done(phase, "wait_ready") and not look_at_rented(
        server, phase, timeout_seconds=ports.ready_timeout
    ):
        return False
    if run.backend_type != "ollama" or (run.kind is RunKind.LLM_INSTANCE and not rented):
        return True
    others = _step_models(document) if rented else ()
    if not all(_has_model(server, phase, model, rented=rented) for model in (*others, run.model)):
        return False
    window = _context_window(server, phase, ports)
    return not document.get("backend_warmup", True) or _warm_up(server, phase, document, window)


def _open(phase: Phase, url: str, ports: PreparePorts) -> ModelServer:
    try:
        return ports.servers.open(phase.run.backend_type, url)
    except BackendNotAllowed:
        text = "backend_url is not allowed by policy"
        raise phase.fail(SPAN, "POLICY_DENIED", text) from None
    except Unavailable:
        raise phase.fail(SPAN, "BACKEND_NOT_READY", UNREACHABLE) from None


def _done(phase: Phase, name: str) -> bool:
    return any(each.name == name and each.status == "ok" for each in phase.run.phases)


def _step_models(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Further models that the steps of a chain ask; the run's own comes last, to be the one that is loaded."""
    steps = document.get("chain", {}).get("steps", ())
    return tuple(dict.fromkeys(step["model"] for step in steps if step.get("model")))


def _has_model(server: ModelServer, phase: Phase, model: str, *, rented: bool) -> bool:
    """Only a server of one's own is given the model; another one has it or has it not."""
    try:
        if server.installed(model):
            return True
    except Unavailable:
        raise phase.fail(SPAN, "BACKEND_NOT_READY", UNREACHABLE) from None
    if not rented:
        raise phase.fail(SPAN, "MODEL_NOT_AVAILABLE", NOT_INSTALLED)
    return pull_model(server, phase, model)


def _context_window(server: ModelServer, phase: Phase, ports: PreparePorts) -> int:
    """The context window to load the model with; what the agent cannot work with is refused."""
    try:
        abilities = server.abilities(phase.run.model)
    except Unavailable:
        raise phase.fail(SPAN, "BACKEND_NOT_READY", UNREACHABLE) from None
    window = min(abilities.context_length or ports.context_window, ports.context_window)
    if phase.run.kind is not RunKind.LLM_INSTANCE:
        _check_agent_can_use(abilities, window, phase)
    return window


def _check_agent_can_use(abilities: ModelAbilities, window: int, phase: Phase) -> None:
    if abilities.capabilities is None:
        phase.warn("model_without_tools")
    elif "tools" not in abilities.capabilities:
        text = "Agent error: the model does not support tools"
        raise phase.fail(SPAN, "MODEL_LACKS_TOOLS", text)
    if window < MIN_CONTEXT:
        text = "Agent error: the model's context window is too small for the agent"
        raise phase.fail(SPAN, "CONTEXT_WINDOW", text)


def _warm_up(server: ModelServer, phase: Phase, document: Mapping[str, Any], window: int) -> bool:
    """False when the model may take longer than one step: the server goes on loading, the next step looks."""
    phase.begin("warm_up", "warming up model")
    seconds = int(document.get("backend_warmup_timeout") or WARM_UP_SECONDS)
    left = max(1, seconds - (phase.ports.clock() - phase.began) // 1000)
    loaded = server.warm_up(
        phase.run.model,
        context_window=window,
        timeout_seconds=min(left, STEP_SECONDS),
        stop=lambda: phase.stopping() or phase.expired(),
    )
    if phase.stopping():
        raise RunCancelled(phase.run.run_id)
    if not loaded:
        phase.check("ollama.model.warmup")
        if left > STEP_SECONDS:
            return False
        text = "Agent error: the model could not be loaded"
        raise phase.fail("ollama.model.warmup", "BACKEND_WARMUP_FAILED", text)
    phase.done("ollama.model.warmup", "model is loaded", {"model": phase.run.model, "context_window": window})
    return True
