"""The error dialect of the Jobs API (jobs-api.md 1.2): fixed texts, never a submitted value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rune_common.domain import approval_errors, errors
from rune_common.domain.errors import (
    InvalidRequest,
    LimitExceeded,
    MethodNotAllowed,
    RuneError,
    UnknownChoice,
)

RETRY_AFTER_SECONDS = 2
"""When to try again after `unavailable`."""


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """What an error looks like on the wire, except for the request's id. `known`: it is no bug."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    known: bool = True


Text = str | Callable[[Any], str]


def _first_problem(error: InvalidRequest) -> str:
    return str(error) if error.problems else "invalid request"


def _choices(label: str) -> Callable[[UnknownChoice], str]:
    return lambda error: f"Unknown {label}. Available: {', '.join(error.available)}"


def _missing(error: errors.MissingParameter) -> str:
    return f"missing required query parameter: {error.name}"


TABLE: dict[type[RuneError], tuple[int, str, Text]] = {
    errors.InvalidRequest: (400, "invalid_request", _first_problem),
    errors.InvalidJson: (400, "invalid_json", "invalid JSON payload"),
    errors.InvalidBody: (400, "invalid_body", "JSON request body must be an object"),
    errors.MissingParameter: (400, "missing_parameter", _missing),
    errors.InvalidCursor: (400, "invalid_cursor", "invalid cursor"),
    errors.UnknownAgent: (400, "unknown_agent", _choices("agent")),
    errors.UnknownBackendType: (400, "unknown_backend_type", _choices("backend type")),
    errors.BackendNotAllowed: (400, "backend_not_allowed", "backend_url is not allowed by policy"),
    errors.ProviderNotConfigured: (400, "provider_not_configured", "provider is not configured"),
    errors.SpendLimitExceeded: (400, "spend_limit_exceeded", "projected cost exceeds the spend limit"),
    errors.ModelSizeUnknown: (400, "model_size_unknown", "model size is unknown; set vram_mb"),
    errors.AttestationUnavailable: (400, "attestation_unavailable", "attestation is not available"),
    errors.SecretNotAllowed: (400, "secret_not_allowed", "secrets are not accepted in settings"),
    errors.BodyTooLarge: (413, "body_too_large", "request body exceeds maximum size (10 MiB)"),
    errors.Unauthorized: (401, "unauthorized", "invalid tenant/token combination"),
    errors.LockedOut: (401, "auth_locked_out", "rate limit exceeded"),
    errors.Forbidden: (403, "forbidden", "insufficient scope"),
    errors.KindDisabled: (403, "kind_disabled", "job kind is disabled"),
    errors.NotFound: (404, "not_found", "not found"),
    errors.RunNotFound: (404, "not_found", "job not found"),
    errors.ChainNotFound: (404, "not_found", "chain run not found"),
    errors.UnknownJobKind: (404, "not_found", "unknown job kind"),
    errors.AuditNotFound: (404, "not_found", "audit run not found"),
    errors.BlobNotFound: (404, "not_found", "artifact not found"),
    errors.ArtifactNotFound: (404, "not_found", "artifact not found"),
    errors.NoBrowserStream: (404, "not_found", "browser stream not available"),
    errors.ProfileNotFound: (404, "not_found", "profile not found"),
    errors.MethodNotAllowed: (405, "method_not_allowed", "method not allowed"),
    approval_errors.ApproverNotPermitted: (403, "approver_not_permitted", "you may not decide about this"),
    approval_errors.SelfApprovalForbidden: (
        403,
        "self_approval_forbidden",
        "somebody else has to approve this",
    ),
    approval_errors.ApprovalNotFound: (404, "approval_not_found", "no such approval"),
    approval_errors.ApprovalAlreadyDecided: (
        409,
        "approval_already_decided",
        "the approval was decided already",
    ),
    approval_errors.SubjectChanged: (409, "subject_changed", "this is not what would be done"),
    approval_errors.ApprovalExpired: (410, "approval_expired", "the time to decide is over"),
    errors.NoPendingInteraction: (409, "no_pending_interaction", "no pending interaction"),
    errors.RunTerminal: (409, "job_not_cancellable", "job already finished"),
    errors.RunUnfinished: (409, "job_not_finished", "job is still running"),
    errors.ProfileExists: (409, "already_exists", "profile already exists"),
    errors.PreconditionFailed: (412, "precondition_failed", "precondition failed"),
    errors.IdempotencyKeyReused: (
        422,
        "idempotency_key_reused",
        "idempotency key was used with a different request",
    ),
    errors.RateLimited: (429, "rate_limited", "too many requests"),
    errors.TooManyActiveRuns: (429, "too_many_active_jobs", "too many active jobs"),
    errors.Unavailable: (503, "unavailable", "service unavailable"),
    # The run changed under us again and again: nothing is wrong with the request.
    errors.RunChanged: (503, "unavailable", "service unavailable"),
    errors.SettingsChanged: (503, "unavailable", "service unavailable"),
    errors.BackendUnavailable: (502, "backend_unavailable", "Failed to query available models"),
}
_BUG = (500, "internal", "internal error")


def error_answer(error: Exception, request_id: str) -> ErrorAnswer:
    """The answer for an error, by the first class along its MRO that the table has; else `internal`."""
    row = next((TABLE[each] for each in type(error).__mro__ if each in TABLE), None)
    status, code, text = row or _BUG
    body: dict[str, Any] = {
        "error": text if isinstance(text, str) else text(error),
        "code": code,
        "request_id": request_id,
    }
    if isinstance(error, InvalidRequest) and code == "invalid_request":
        body["details"] = [
            {"field": each.field, "code": each.code, "message": each.message} for each in error.problems
        ]
    return ErrorAnswer(status, body, answer_headers(error, status), known=row is not None)


def answer_headers(error: Exception, status: int) -> dict[str, str]:
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, MethodNotAllowed):
        return {"Allow": ", ".join(error.allow)}
    if isinstance(error, LimitExceeded):
        return {"Retry-After": str(error.retry_after)}
    return {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}
