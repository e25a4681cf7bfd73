"""Refusals as the API server words them: `Status` objects."""

from __future__ import annotations

from rune.sandbox.exchange import SimResponse
from rune.sandbox.kube.parts import Json

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
}


class Refused(Exception):
    """Ends a request with a Status; `details` name the object concerned."""

    def __init__(self, code: int, message: str, details: Json | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = details

    def response(self) -> SimResponse:
        return SimResponse.json(status_object(self.code, str(self), self.details), self.code)


def status_object(code: int, message: str, details: Json | None = None) -> Json:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": REASONS.get(code, "InternalError"),
        **({"details": details} if details else {}),
        "code": code,
    }


def not_found(plural: str, group: str, name: str) -> Refused:
    full = f"{plural}.{group}" if group else plural
    details: Json = {"name": name, "kind": plural, **({"group": group} if group else {})}
    return Refused(404, f'{full} "{name}" not found', details)


def no_such_path() -> Refused:
    return Refused(404, "the server could not find the requested resource", {})
