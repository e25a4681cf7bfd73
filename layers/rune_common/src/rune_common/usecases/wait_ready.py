"""The model server answers (jobs-api.md 4.10 phase 3, 5.3)."""

from __future__ import annotations

from collections.abc import Callable

from rune_common.domain.model_servers import ModelServer
from rune_common.usecases.phase import Phase

SPAN = "backend.wait_ready"
READY_SECONDS = 20
"""How long a server that was given by its address may take to answer."""

READY_EVERY_SECONDS = 2.0
UNREACHABLE = "Agent error: the model server does not answer"


def wait_given(server: ModelServer, phase: Phase, sleep: Callable[[float], None]) -> None:
    """Wait for a server that was given by its address. Raises RunFailure, RunCancelled."""
    phase.begin("wait_ready", "waiting for the model server")
    until = phase.began + READY_SECONDS * 1000
    while not server.ready():
        phase.check(SPAN)
        if phase.ports.clock() >= until:
            raise phase.fail(SPAN, "BACKEND_NOT_READY", UNREACHABLE)
        sleep(READY_EVERY_SECONDS)
    _is_ready(phase)


def look_at_rented(server: ModelServer, phase: Phase, *, timeout_seconds: int) -> bool:
    """One look at the server of a rented instance: it may take minutes. Raises RunFailure, RunCancelled."""
    phase.begin("wait_ready", "waiting for instance")
    phase.check(SPAN)
    if server.ready():
        _is_ready(phase)
        return True
    if phase.ports.clock() >= phase.began + timeout_seconds * 1000:
        raise phase.fail(SPAN, "BACKEND_NOT_READY", UNREACHABLE)
    return False


def _is_ready(phase: Phase) -> None:
    phase.done(SPAN, "model server is ready", {"backend_type": phase.run.backend_type})
