"""Refusals as the provider words them: `{"success": false, "error", "msg"}`."""

from __future__ import annotations

from rune.sandbox.exchange import SimResponse

TOO_FREQUENT = "API requests too frequent"


class Refused(Exception):
    """Ends a request with an error answer: HTTP `status`, the stable word `error`, and a text for people."""

    def __init__(self, status: int, error: str, msg: str) -> None:
        super().__init__(msg)
        self.status = status
        self.error = error

    def response(self) -> SimResponse:
        return SimResponse.json({"success": False, "error": self.error, "msg": str(self)}, self.status)


def invalid(msg: str) -> Refused:
    """A request that cannot be understood."""
    return Refused(400, "invalid_args", msg)


def no_such_instance(instance_id: int) -> Refused:
    return Refused(404, "no_such_instance", f"Instance {instance_id} not found.")


def no_credit() -> Refused:
    return Refused(400, "insufficient_credit", "Your account lacks credit; see the billing page.")


def too_frequent() -> SimResponse:
    """The rate limit's answer: plain text, and no `Retry-After` to go by."""
    return SimResponse.text(TOO_FREQUENT, 429)
