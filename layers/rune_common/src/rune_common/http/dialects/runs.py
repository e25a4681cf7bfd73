"""The error dialect of the Runtime Runs API (runs-api.md 1.4, 14): fixed texts, never a submitted value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rune_common.domain import approval_errors, errors, run_errors
from rune_common.domain.errors import FieldProblem, InvalidRequest, RuneError, UnknownChoice
from rune_common.domain.events import LogClosed
from rune_common.http.dialects.jobs import ErrorAnswer, answer_headers

TABLE: dict[type[RuneError], tuple[int, str, str]] = {
    errors.InvalidRequest: (400, "VALIDATION_ERROR", "the request is not valid"),
    errors.InvalidJson: (400, "INVALID_JSON", "the body is not JSON"),
    errors.InvalidCursor: (400, "CURSOR_INVALID", "the cursor is not valid"),
    run_errors.IdempotencyKeyInvalid: (400, "IDEMPOTENCY_KEY_INVALID", "the idempotency key is not valid"),
    run_errors.ModeProfileMismatch: (400, "MODE_PROFILE_MISMATCH", "the profile does not fit the mode"),
    run_errors.EventTypeNotAllowed: (400, "EVENT_TYPE_NOT_ALLOWED", "a client may not append such events"),
    errors.Unauthorized: (401, "AUTH_REQUIRED", "a valid token is required"),
    errors.LockedOut: (401, "AUTH_LOCKED_OUT", "rate limit exceeded"),
    errors.Forbidden: (403, "INSUFFICIENT_SCOPE", "the token does not allow this"),
    errors.KindDisabled: (403, "KIND_DISABLED", "this kind of run is disabled"),
    run_errors.RunNotExternallyOwned: (403, "RUN_NOT_EXTERNALLY_OWNED", "the run's work is not the client's"),
    errors.NotFound: (404, "ROUTE_NOT_FOUND", "no such path"),
    errors.RunNotFound: (404, "RUN_NOT_FOUND", "no such run"),
    errors.ArtifactNotFound: (404, "ARTIFACT_NOT_FOUND", "no such artifact"),
    errors.BlobNotFound: (404, "ARTIFACT_NOT_FOUND", "no such artifact"),
    errors.MethodNotAllowed: (405, "METHOD_NOT_ALLOWED", "the path does not answer this method"),
    run_errors.NotAcceptable: (406, "NOT_ACCEPTABLE", "the answer would be a text/event-stream"),
    run_errors.UpgradeRequired: (426, "UPGRADE_REQUIRED", "connect by WebSocket, runtime.terminal.v1"),
    errors.BodyTooLarge: (413, "PAYLOAD_TOO_LARGE", "the body is too large"),
    errors.RunTerminal: (409, "RUN_TERMINAL", "the run has ended"),
    errors.IllegalTransition: (409, "RUN_TERMINAL", "the run's state does not allow this"),
    LogClosed: (409, "RUN_TERMINAL", "the run has ended"),
    run_errors.ProducerKeyConflict: (409, "PRODUCER_KEY_CONFLICT", "another event has this producer key"),
    errors.EvidenceNotSealed: (409, "EVIDENCE_NOT_SEALED", "the run goes on: its evidence is not final"),
    errors.IdempotencyKeyReused: (422, "IDEMPOTENCY_KEY_REUSED", "the key was used with another request"),
    errors.RateLimited: (429, "RATE_LIMITED", "too many requests"),
    run_errors.TooManyStreams: (429, "TOO_MANY_STREAMS", "too many open streams"),
    errors.TooManyActiveRuns: (429, "TOO_MANY_ACTIVE_RUNS", "too many unfinished runs"),
    errors.EvidenceBusy: (503, "EVIDENCE_BUSY", "the evidence is still being made"),
    errors.Unavailable: (503, "TEMPORARY_UNAVAILABLE", "try again later"),
    # The run changed under us again and again: nothing is wrong with the request.
    approval_errors.ApproverNotPermitted: (403, "APPROVER_NOT_PERMITTED", "you may not decide about this"),
    approval_errors.SelfApprovalForbidden: (
        403,
        "SELF_APPROVAL_FORBIDDEN",
        "somebody else has to approve this",
    ),
    approval_errors.ApprovalNotFound: (404, "APPROVAL_NOT_FOUND", "no such approval"),
    approval_errors.ApprovalAmbiguous: (409, "APPROVAL_AMBIGUOUS", "several approvals are pending: name one"),
    approval_errors.ApprovalAlreadyDecided: (
        409,
        "APPROVAL_ALREADY_DECIDED",
        "the approval was decided already",
    ),
    approval_errors.SubjectChanged: (409, "SUBJECT_CHANGED", "this is not what would be done"),
    approval_errors.TooManyPendingApprovals: (
        409,
        "TOO_MANY_PENDING_APPROVALS",
        "too many approvals are pending",
    ),
    approval_errors.ApprovalExpired: (410, "APPROVAL_EXPIRED", "the time to decide is over"),
    errors.RunChanged: (503, "TEMPORARY_UNAVAILABLE", "try again later"),
}
_BUG = (500, "INTERNAL", "internal error")

_FIELDS: Mapping[type[InvalidRequest], FieldProblem] = {
    errors.BackendNotAllowed: FieldProblem("backend_url", "not_allowed", "is not allowed by policy"),
    errors.ProviderNotConfigured: FieldProblem(
        "backend_url", "missing", "is required: no provider is configured"
    ),
    errors.SpendLimitExceeded: FieldProblem(
        "budget", "too_small", "the projected cost exceeds the spend limit"
    ),
    errors.ModelSizeUnknown: FieldProblem("benchmark.vram_mb", "missing", "the model's size is not known"),
    errors.InvalidBody: FieldProblem("body", "type", "must be an object"),
}
"""The field that a refusal is about where it names none itself."""


def error_answer(error: Exception, request_id: str) -> ErrorAnswer:
    """The answer for an error, by the first class along its MRO that the table has; else `INTERNAL`."""
    row = _row(error)
    body = {**error_document(error), "request_id": request_id}
    status = (row or _BUG)[0]
    return ErrorAnswer(status, {"error": body}, answer_headers(error, status), known=row is not None)


def error_document(error: Exception) -> dict[str, Any]:
    """Code, message and details of an error, as one of several results of a request has them."""
    _, code, text = _row(error) or _BUG
    body: dict[str, Any] = {"code": code, "message": text}
    problems = _problems(error)
    if problems:
        body["details"] = {"fields": [{"path": each.field, "reason": each.message} for each in problems]}
    if isinstance(error, approval_errors.SubjectChanged):
        body["details"] = {"superseded_by": error.superseded_by}
    return body


def _row(error: Exception) -> tuple[int, str, str] | None:
    return next((TABLE[each] for each in type(error).__mro__ if each in TABLE), None)


def _problems(error: Exception) -> Sequence[FieldProblem]:
    if not isinstance(error, InvalidRequest):
        return ()
    if isinstance(error, UnknownChoice):
        return [
            FieldProblem(error.problems[0].field, "unknown", f"must be one of {', '.join(error.available)}")
        ]
    named = next((_FIELDS[each] for each in type(error).__mro__ if each in _FIELDS), None)
    return error.problems or ([named] if named else [])
