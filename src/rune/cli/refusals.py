"""A server's refusal as a failure of the command line (jobs-api.md 1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from rune.cli.failures import CliFailure

HINTS = {
    "unauthorized": "set RUNE_API_TOKEN to a token of this server and --api-tenant to its tenant",
    "auth_locked_out": "too many wrong tokens came from this address; wait a minute",
    "provider_not_configured": "name a model server with --backend-url",
}


def refusal(answer: httpx.Response) -> CliFailure:
    """The server's own words (jobs-api.md 1.2), with every field that did not fit."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    body = body if isinstance(body, dict) else {}
    if isinstance(body.get("error"), dict):  # the Runtime Runs API's way to say it (runs-api.md 1.4)
        body = _as_jobs_dialect(body["error"])
    text = body.get("error") if isinstance(body.get("error"), str) else ""
    details = body.get("details") if isinstance(body.get("details"), list) else []
    fields = [f"{d.get('field')} {d.get('message')}" for d in details or [] if isinstance(d, dict)]
    message = (
        f"the server refused ({answer.status_code}): {text or answer.reason_phrase or 'no reason given'}"
    )
    if any(each not in message for each in fields):
        message += f" ({'; '.join(fields)})"
    code = str(body.get("code") or f"http_{answer.status_code}")
    return CliFailure(message, code=code, hint=HINTS.get(code, ""))


def _as_jobs_dialect(error: Mapping[str, Any]) -> dict[str, Any]:
    details = error.get("details")
    fields = details.get("fields") if isinstance(details, dict) else None
    return {
        "error": error.get("message"),
        "code": error.get("code"),
        "details": [
            {"field": each.get("path"), "message": each.get("reason")}
            for each in (fields if isinstance(fields, list) else [])
            if isinstance(each, dict)
        ],
    }
