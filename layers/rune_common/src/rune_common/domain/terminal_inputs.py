"""What a terminal's session is told: by its client, by the run's log, by its transport (runs-api.md 5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from rune_common.domain.events import Event

BAD_CURSOR, NOT_AUTHENTICATED, NOT_ALLOWED, NO_SUCH_RUN, CURSOR_GONE, TOO_MANY = (
    4400,
    4401,
    4403,
    4404,
    4410,
    4429,
)
NORMAL, GOING_AWAY, POLICY = 1000, 1001, 1008
"""Close codes (runs-api.md 5.3)."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The client may read this run, as it is now. `cursor` is what the client asked for.

    `head_seq` counts the run's chunks, `head_position` its events; `ended`: none will follow. `one_step`: the run's
    only step ends after its last chunk, so nothing that comes before a chunk has to be known after it.
    """

    run_id: str
    status: str
    head_seq: int
    head_position: int
    cursor: str | None = None
    ended: bool = False
    acknowledges: bool = False
    one_step: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """A message of the client; None for a binary one."""

    text: str | None


@dataclass(frozen=True, slots=True)
class Appended:
    """An event of the log. One that is not the next after the state's position changes nothing."""

    event: Event


@dataclass(frozen=True, slots=True)
class Refused:
    """The transport ends the connection with this reason."""

    close_code: int
    code: str
    message: str


class Signal(Enum):
    SILENT = "silent"
    """Nothing was sent for HEARTBEAT_SECONDS."""


LATE = Refused(NOT_AUTHENTICATED, "AUTH_REQUIRED", "no token came in time")
LIFE_OVER = Refused(GOING_AWAY, "RUN_STREAM_TIMEOUT", "the connection has lasted long enough: resume")
BROKEN = Refused(GOING_AWAY, "RUN_STREAM_INTERNAL", "the stream broke: resume")

Input = Opened | Received | Appended | Refused | Signal
