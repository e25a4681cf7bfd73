"""Refusals that only the Runtime Runs API knows (runs-api.md 14); they belong to the tree of `errors`."""

from __future__ import annotations

from rune_common.domain.errors import (
    Conflict,
    FieldProblem,
    Forbidden,
    InvalidRequest,
    LimitExceeded,
    RuneError,
)


class IdempotencyKeyInvalid(InvalidRequest):
    code = "idempotency_key_invalid"


class ModeProfileMismatch(InvalidRequest):
    code = "mode_profile_mismatch"


class EventTypeNotAllowed(InvalidRequest):
    code = "event_type_not_allowed"

    def __init__(self, path: str) -> None:
        super().__init__(FieldProblem(path, "unknown", "is no type that a client may append"))


class RunNotExternallyOwned(Forbidden):
    """Only the run's own worker tells what happens in it."""

    code = "run_not_externally_owned"


class ProducerKeyConflict(Conflict):
    """Something else was appended under this key."""

    code = "producer_key_conflict"


class NotAcceptable(RuneError):
    code = "not_acceptable"


class UpgradeRequired(RuneError):
    """The path is a WebSocket's."""

    code = "upgrade_required"


class TooManyStreams(LimitExceeded):
    code = "too_many_streams"
