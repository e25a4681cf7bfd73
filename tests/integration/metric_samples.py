"""Job events to count."""

from __future__ import annotations

from rune_common.domain.job_events import JobEvent

DAY_SECONDS = 86_400
NEW_YEAR = 1_767_225_600


def sample(
    seq: int, name: int | str = "agent.ask", *, day: int = 1, ms: float = 10.0, ok: bool = True
) -> JobEvent:
    """An event of a day of January 2026; each a second after the one before it."""
    return JobEvent(
        seq=seq,
        name=name if isinstance(name, str) else f"phase.{name:02d}",
        status="ok" if ok else "error",
        duration_ms=ms,
        error_type=None,
        recorded_at=NEW_YEAR + (day - 1) * DAY_SECONDS + seq,
        timestamp=f"2026-01-{day:02d}T00:00:00.000Z",
        message="",
    )
