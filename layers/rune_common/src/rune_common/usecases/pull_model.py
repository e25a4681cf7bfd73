"""The model is on the server, or gets there (jobs-api.md 4.10 phase 4, 5.3)."""

from __future__ import annotations

from dataclasses import replace

from rune_common.domain.errors import RunCancelled, Unavailable
from rune_common.domain.model_pulls import PullProgress, PullRefused
from rune_common.domain.model_servers import ModelServer
from rune_common.domain.runs import Run
from rune_common.usecases.change_run import Proposal
from rune_common.usecases.phase import Phase, span_draft

SPAN = "vastai.model.pull"
STEP_SECONDS = 600
"""How long one step follows a pull; the next one goes on where it was, as the server does."""

MAX_EVENTS = 50
"""Progress events of one pull (jobs-api.md 4.9)."""

MAX_STALLS = 3
SHOW_EVERY_MS = 2_000
FAILED = "the model could not be pulled"


def pull_model(server: ModelServer, phase: Phase, model: str) -> bool:
    """Pull a model of the run onto an instance of its own; True once it is there.

    Raises RunFailure, RunCancelled. Repeating goes on with what is there already.
    """
    phase.begin("pull", "pulling model")
    phase.check(SPAN)
    shown = _Shown(phase, model)
    until = phase.ports.clock() + STEP_SECONDS * 1000

    def stop() -> bool:
        return phase.stopping() or phase.expired() or phase.ports.clock() >= until

    for stalls in range(MAX_STALLS + 1):
        try:
            if server.pull(model, progress=shown.show, stop=stop):
                phase.done(SPAN, "model is pulled", {"model": model})
                phase.note(percent=None)
                return True
            break
        except PullRefused:
            raise phase.fail(SPAN, "MODEL_PULL_FAILED", FAILED, {"model": model}) from None
        except Unavailable:
            if stalls == MAX_STALLS:
                raise phase.fail(SPAN, "MODEL_PULL_FAILED", FAILED, {"model": model}) from None
    phase.check(SPAN)
    return False


class _Shown:
    """Shows a pull's progress: often in the record, seldom in the log."""

    def __init__(self, phase: Phase, model: str) -> None:
        self._phase, self._model = phase, model
        self._percent, self._at = phase.run.percent or 0.0, 0

    def show(self, progress: PullProgress) -> None:
        """Raises RunCancelled."""
        percent, now = progress.percent, self._phase.ports.clock()
        if percent is None or percent <= self._percent or (now - self._at < SHOW_EVERY_MS and percent < 100):
            return
        # A step of the log each full 100 / 50 percent, so that there are never more than 50.
        step = 100 / MAX_EVENTS
        logged = int(percent / step) > int(self._percent / step)
        self._percent, self._at = percent, now
        labels = {"model": self._model, "percent": round(percent, 1)}
        message = f"pulling model ({percent:.0f} %)"
        drafts = [span_draft(f"{SPAN}.progress", message, labels)] if logged else []

        def decide(run: Run) -> Proposal | None:
            return Proposal(replace(run, percent=round(percent, 1), message=message), drafts)

        try:
            self._phase.change(decide)
        except RunCancelled:
            return  # the pull's own `stop` notices it and closes the call
