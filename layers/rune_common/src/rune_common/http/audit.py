"""The audit log: a JSON line per authentication; the formatter of structured lines (jobs-api.md 2)."""

from __future__ import annotations

import json
import logging
from typing import Any, Literal

from starlette.types import Scope

from rune_common.domain.events import timestamp

Outcome = Literal["success", "failure", "lockout"]

audit_logger = logging.getLogger("rune.audit")
_KEY = "rune.audit"


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message, the record's `fields`, a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": timestamp(round(record.created * 1000)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure_logging(level: str) -> None:
    """Structured lines on stderr from now on. For entry points."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("mangum").setLevel(logging.WARNING)


def note(scope: Scope, outcome: Outcome, *, ip: str, tenant: str) -> None:
    """Remember how authentication went; the line is written when the answer's status is known."""
    route = scope.get("route")
    scope["state"][_KEY] = {
        "outcome": outcome,
        "ip": ip,
        "tenant": tenant,
        "route": getattr(route, "path", ""),
    }


def write(scope: Scope, status: int) -> None:
    """The audit line of an answered request; none where nobody was authenticated."""
    noted = scope["state"].get(_KEY)
    if noted is not None:
        fields = {
            **noted,
            "request_id": scope["state"]["request_id"],
            "method": scope["method"],
            "status": status,
        }
        audit_logger.info("authentication %s", noted["outcome"], extra={"fields": fields})
