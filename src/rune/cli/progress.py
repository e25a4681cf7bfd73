"""
What a person sees on stderr while a job runs (jobs-api.md 15, row "Display").

On a terminal: finished phases and tool calls as lines, below them a spinner with what happens now.
Elsewhere: one line per change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from rune.cli.job_view import TERMINAL_EVENTS, EventView, JobView
from rune.cli.printing import milliseconds, one_line, seconds

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status
    from rich.text import Text

# Shown by other means: the phases, the answer and the last line.
QUIET_EVENTS = TERMINAL_EVENTS | {"job.queued", "job.execute", "result.record"}


class Painter(Protocol):
    """`line` adds a line that stays; `now` replaces what goes on, and is asked again at every redraw."""

    def line(self, text: str, style: str = "") -> None: ...
    def now(self, text: Callable[[], str]) -> None: ...
    def close(self) -> None: ...


class LinePainter:
    """For pipes and files: a line per change, and nothing about what only goes on."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def line(self, text: str, style: str = "") -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def now(self, text: Callable[[], str]) -> None:
        pass

    def close(self) -> None:
        pass


class SpinnerPainter:
    """For terminals."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None

    def line(self, text: str, style: str = "") -> None:
        self._console.print(text, style=style or None, markup=False, highlight=False)

    def now(self, text: Callable[[], str]) -> None:
        if self._status is None:
            self._status = self._console.status(_Current(text), spinner="dots")
            self._status.start()
        else:
            self._status.update(_Current(text))

    def close(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


class _Current:
    """A text that is made when it is drawn, so that its clock runs between two looks at the job."""

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text

    def __rich__(self) -> Text:
        from rich.text import Text

        return Text(self._text())


class Progress:
    """Turns job records and events into phases, steps and their times. Use as a context manager."""

    def __init__(self, console: Console, monotonic: Callable[[], float]) -> None:
        self._console = console
        self._paint: Painter = SpinnerPainter(console) if console.is_terminal else LinePainter(console)
        self._spinning = console.is_terminal
        self._monotonic = monotonic
        self._phase, self._detail = "", ""
        self._since = monotonic()
        self._tool_calls = 0
        self._cancelling = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._paint.close()

    def title(self, heading: str, facts: Mapping[str, str]) -> None:
        """The panel at the top: what is asked of whom. Empty facts are left out."""
        from rich.panel import Panel
        from rich.text import Text

        shown = {name: one_line(value) for name, value in facts.items() if value}
        width = max(map(len, shown), default=0)
        body = Text("\n".join(f"{name:<{width}}  {value}" for name, value in shown.items()))
        self._console.print(Panel(body, title=heading, title_align="left", expand=False))

    def phase(self, name: str, detail: str = "") -> None:
        """A new phase begins, which ends the one before it; or the same goes on, with a new detail."""
        if name != self._phase:
            self._finish_phase("✓", "green")
            self._phase, self._since = name, self._monotonic()
        elif detail == self._detail:
            return
        self._detail = detail
        if not self._spinning:
            self._paint.line(f"… {name} {detail}".rstrip())
        self._tick()

    def job(self, job: JobView) -> None:
        """The job's own words for what it does; `pulling model (42 %)` is one phase, whatever the number."""
        if not job.terminal:
            name, _, detail = one_line(job.message or job.phase or job.status).partition(" (")
            self.phase(name, f"({detail}" if detail else "")

    def event(self, event: EventView) -> None:
        """One step. Tool calls always show; other spans with their time, warnings with their text."""
        if event.name in QUIET_EVENTS:
            return
        if event.name == "agent.tool_call":
            self._tool_calls += 1
        mark, style = ("✗", "red") if event.failed else ("•", "dim")
        parts = [event.name, one_line(event.label, 60), one_line(event.outcome, 30)]
        if event.duration_ms:
            parts.append(f"{milliseconds(event.duration_ms)} ms")
        text = "  ".join(part for part in parts if part)
        message = one_line(event.message, 100)
        told = message and message not in {event.label, event.name} and event.name != "agent.ask"
        self._paint.line(f"  {mark} {text}" + (f"  {message}" if told else ""), style)
        self._tick()

    def pause(self) -> None:
        """Nothing moves until the next change, so that a person can be asked something."""
        self._paint.close()

    def note(self, text: str, style: str = "") -> None:
        self._paint.line(one_line(text, 1_000), style)

    def submitted(self, job_id: str) -> None:
        self._finish_phase("✓", "green")
        self._paint.line(f"job {one_line(job_id)}")

    def cancel(self) -> None:
        """From now on the job is only waited for to stop."""
        self.phase("cancelling")
        self._cancelling = True

    def finish(self, job: JobView) -> None:
        """The job has ended: close the last phase and say how."""
        as_meant = job.succeeded or self._cancelling
        self._finish_phase(*(("✓", "green") if as_meant else ("✗", "red")))
        self._paint.close()
        self._paint.line(f"{'✓' if job.succeeded else '✗'} {one_line(job.message or job.status)}", "bold")

    def _finish_phase(self, mark: str, style: str) -> None:
        if self._phase:
            elapsed = seconds(self._monotonic() - self._since)
            self._paint.line(f"{mark} {self._phase}  {elapsed}", style)
        self._phase, self._detail = "", ""

    def _tick(self) -> None:
        if self._phase:
            self._paint.now(self._going_on)

    def _going_on(self) -> str:
        calls = f" · {self._tool_calls} tool calls" if self._tool_calls else ""
        name = f"{self._phase} {self._detail}".rstrip()
        return f"{name} · {seconds(self._monotonic() - self._since)}{calls}"
