"""
Every error that Rune raises on purpose.

* RuneError
  - InvalidRequest            the request can never be carried out as it is
    - InvalidJson
    - InvalidBody
    - MissingParameter
    - InvalidCursor
    - UnknownChoice
      - UnknownAgent
      - UnknownBackendType
    - BackendNotAllowed
    - ProviderNotConfigured
    - SpendLimitExceeded
    - ModelSizeUnknown
    - AttestationUnavailable
    - SecretNotAllowed
  - BodyTooLarge
  - Unauthorized
    - LockedOut
  - Forbidden
    - InsufficientScope
    - KindDisabled
  - NotFound
    - RouteNotFound
    - UnknownJobKind
    - RunNotFound
      - AuditNotFound
      - ChainNotFound
    - BlobNotFound
    - ArtifactNotFound
    - NoBrowserStream
    - ProfileNotFound
  - MethodNotAllowed
  - Conflict
    - RunTerminal
    - RunUnfinished
    - IllegalTransition
    - RunChanged              somebody else wrote the run first: read it again
    - IdempotencyKeyTaken     somebody else used the key first: read what they got
    - AttemptSuperseded       a newer attempt owns the run
    - NoPendingInteraction
    - ProfileExists
    - EvidenceNotSealed       the run goes on, so its evidence is not final
    - SettingsChanged         somebody else wrote the settings first: read them again
  - PreconditionFailed        what the caller last read is no longer what is stored
  - IdempotencyKeyReused
  - LimitExceeded
    - RateLimited
    - TooManyActiveRuns
  - Unavailable               a dependency does not answer; trying again later may help
    - EvidenceBusy            the evidence takes longer than a caller waits
  - BackendUnavailable        a model server that the caller named does not answer
  - RunFailure                ends the run; its code and text are what the caller sees
  - TransientRunFailure       may be tried again: no model call has begun
  - RunCancelled              the run was asked to stop
  - WorkOver                  the run's work has ended; only its end is left
  - WaitOver                  the run does not wait for decisions, or no longer
  - Misconfigured             start-up is refused
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class RuneError(Exception):
    """Base class. `code` is stable and part of the public API; the message is for people."""

    code: ClassVar[str] = "internal"


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One field that does not fit: `field` is its dotted name, `message` the rule, never the value."""

    field: str
    code: str
    message: str


class InvalidRequest(RuneError):
    code = "invalid_request"

    def __init__(self, *problems: FieldProblem) -> None:
        super().__init__(
            f"invalid request: {problems[0].field} {problems[0].message}" if problems else self.code
        )
        self.problems = problems


class InvalidJson(InvalidRequest):
    code = "invalid_json"


class InvalidBody(InvalidRequest):
    code = "invalid_body"


class MissingParameter(InvalidRequest):
    code = "missing_parameter"

    def __init__(self, name: str) -> None:
        super().__init__(FieldProblem(name, "missing", "is required"))
        self.name = name


class InvalidCursor(InvalidRequest):
    code = "invalid_cursor"


class UnknownChoice(InvalidRequest):
    """A name that is not in a closed list; `available` is that list, in order."""

    def __init__(self, field: str, available: tuple[str, ...]) -> None:
        super().__init__(FieldProblem(field, "unknown", "is not available"))
        self.available = available


class UnknownAgent(UnknownChoice):
    code = "unknown_agent"


class UnknownBackendType(UnknownChoice):
    code = "unknown_backend_type"


class BackendNotAllowed(InvalidRequest):
    code = "backend_not_allowed"


class ProviderNotConfigured(InvalidRequest):
    code = "provider_not_configured"


class SpendLimitExceeded(InvalidRequest):
    code = "spend_limit_exceeded"


class ModelSizeUnknown(InvalidRequest):
    code = "model_size_unknown"


class AttestationUnavailable(InvalidRequest):
    code = "attestation_unavailable"


class SecretNotAllowed(InvalidRequest):
    code = "secret_not_allowed"


class BodyTooLarge(RuneError):
    code = "body_too_large"


class Unauthorized(RuneError):
    code = "unauthorized"


class LockedOut(Unauthorized):
    code = "auth_locked_out"


class Forbidden(RuneError):
    code = "forbidden"


class InsufficientScope(Forbidden):
    code = "insufficient_scope"


class KindDisabled(Forbidden):
    code = "kind_disabled"


class NotFound(RuneError):
    code = "not_found"


class RouteNotFound(NotFound):
    code = "route_not_found"


class UnknownJobKind(NotFound):
    code = "unknown_job_kind"


class RunNotFound(NotFound):
    code = "run_not_found"


class ChainNotFound(RunNotFound):
    code = "chain_not_found"


class AuditNotFound(RunNotFound):
    code = "audit_not_found"


class BlobNotFound(NotFound):
    code = "blob_not_found"


class ArtifactNotFound(NotFound):
    code = "artifact_not_found"


class NoBrowserStream(NotFound):
    code = "no_browser_stream"


class ProfileNotFound(NotFound):
    code = "profile_not_found"


class MethodNotAllowed(RuneError):
    """`allow`: the methods that the path does answer."""

    code = "method_not_allowed"

    def __init__(self, allow: tuple[str, ...]) -> None:
        super().__init__(self.code)
        self.allow = allow


class Conflict(RuneError):
    code = "conflict"


class RunTerminal(Conflict):
    code = "run_terminal"


class RunUnfinished(Conflict):
    code = "run_unfinished"


class IllegalTransition(Conflict):
    code = "illegal_transition"


class RunChanged(Conflict):
    code = "run_changed"


class IdempotencyKeyTaken(Conflict):
    code = "idempotency_key_taken"


class AttemptSuperseded(Conflict):
    code = "attempt_superseded"


class NoPendingInteraction(Conflict):
    code = "no_pending_interaction"


class ProfileExists(Conflict):
    code = "already_exists"


class EvidenceNotSealed(Conflict):
    code = "evidence_not_sealed"


class SettingsChanged(Conflict):
    code = "settings_changed"


class PreconditionFailed(RuneError):
    code = "precondition_failed"


class IdempotencyKeyReused(RuneError):
    code = "idempotency_key_reused"


class LimitExceeded(RuneError):
    """`retry_after` is in whole seconds, at least 1."""

    code = "limit_exceeded"

    def __init__(self, retry_after: int = 1) -> None:
        super().__init__(self.code)
        self.retry_after = max(1, retry_after)


class RateLimited(LimitExceeded):
    code = "rate_limited"


class TooManyActiveRuns(LimitExceeded):
    code = "too_many_active_runs"


class Unavailable(RuneError):
    code = "unavailable"


class EvidenceBusy(Unavailable):
    code = "evidence_busy"


class BackendUnavailable(RuneError):
    """One text for refused, timeout and bad answer, so that ports cannot be mapped (jobs-api.md 5.1)."""

    code = "backend_unavailable"


class RunFailure(RuneError):
    """Ends the run as failed.

    `run_code` is the run view's `error.code` (runs-api.md 14), e.g. `LLM_UNREACHABLE`; `text` is the
    job's `error`, safe to show: no address, path, secret or exception text in it.
    """

    code = "run_failure"

    def __init__(self, run_code: str, text: str) -> None:
        super().__init__(text)
        self.run_code = run_code
        self.text = text


class TransientRunFailure(RunFailure):
    code = "transient_run_failure"


class RunCancelled(RuneError):
    code = "run_cancelled"


class WorkOver(RuneError):
    code = "work_over"


class WaitOver(RuneError):
    """What a state machine was to wait for has happened already."""

    code = "wait_over"


class Misconfigured(RuneError):
    """The process refuses to start; the message says which setting and why, never its value."""

    code = "misconfigured"
