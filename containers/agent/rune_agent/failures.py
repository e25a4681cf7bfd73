"""From what went wrong in the library to an error code (holmes-driver.md 2.6). Standard library only."""

from __future__ import annotations

import re

from rune_agent.patches import Exchange
from rune_agent.problems import AgentProblem

MAX_TEXT = 1_500

TEXT_RULES = tuple(
    (re.compile(pattern, re.IGNORECASE), code)
    for pattern, code in (
        (
            r"rate.?limit|too many requests|throttl|\b429\b|quota|maximum pending requests",
            "rate_limited",
        ),
        (r"model .*not found|try pulling", "model_not_found"),
        (r"does not support tools", "model_lacks_tools"),
        (r"time(d)? ?out", "backend_timeout"),
        (r"refused|errno 111|name or service|unreachable", "backend_unreachable"),
        (r"max_steps", "max_steps"),
        (r"compaction|context.?(length|window)", "context_window"),
    )
)
BUSY = re.compile(r"busy|overloaded|try again|" + TEXT_RULES[0][0].pattern, re.IGNORECASE)

STATUS_CODES = {
    401: "backend_auth",
    403: "backend_auth",
    404: "model_not_found",
    408: "backend_timeout",
    429: "rate_limited",
    504: "backend_timeout",
}
# Classes of httpx for calls that ended without an answer.
CONNECTION_CODES = {
    "ConnectError": "backend_unreachable",
    "ReadError": "backend_unreachable",
    "WriteError": "backend_unreachable",
    "RemoteProtocolError": "backend_error",
}

SENTENCES = {
    "rate_limited": "the model server limits the rate of requests",
    "model_not_found": "the model server does not have the model",
    "model_lacks_tools": "the model cannot call tools",
    "backend_timeout": "the model server took too long to answer",
    "backend_unreachable": "the model server cannot be reached",
    "backend_error": "the model server failed",
    "backend_auth": "the model server refused the credentials",
    "max_steps": "the agent used all its steps without an answer",
    "context_window": "the conversation does not fit into the model's context window",
    "agent_error": "the agent failed",
}

_ADDRESS = re.compile(
    r"https?://[^\s'\"<>)]+|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\[[0-9a-fA-F:]{2,}\](?::\d+)?|host='[^']*'"
)
_DECORATION = re.compile(r"^(?:litellm\.\w+:\s*)?(?:\w*(?:Error|Exception):\s*)*(?:\w*Exception\s*-\s*)?")


def recognise(error: Exception, exchange: Exchange | None) -> AgentProblem:
    """
    The problem behind `error`. `exchange` is the model server call that it came from, None when the
    library failed between calls.
    """
    text = str(error)
    code = _by_class(error) or _by_exchange(exchange, text) or by_text(text)
    details = {}
    if exchange is not None and exchange.status is not None:
        details["status"] = exchange.status
    if exchange is not None and exchange.retry_after is not None:
        details["retry_after_seconds"] = int(exchange.retry_after)
    return AgentProblem(code, sentence(code, text), details)


def _by_class(error: Exception) -> str | None:
    names = {cls.__name__ for cls in type(error).__mro__}
    if "CompactionInsufficientError" in names or "ContextWindowExceededError" in names:
        return "context_window"
    return "max_steps" if "exceeded max_steps" in str(error) else None


def _by_exchange(exchange: Exchange | None, text: str) -> str | None:
    if exchange is None:
        return None
    status = exchange.status
    if status is None:
        if exchange.error.endswith("Timeout"):
            return "backend_timeout"
        return CONNECTION_CODES.get(exchange.error)
    if status == 503 and BUSY.search(text):
        return "rate_limited"
    if status in STATUS_CODES:
        return STATUS_CODES[status]
    # A success that the library could not read is a broken server.
    return "backend_error" if status >= 500 or status < 300 else None


def by_text(text: str) -> str:
    return next((code for pattern, code in TEXT_RULES if pattern.search(text)), "agent_error")


def sentence(code: str, provider_text: str) -> str:
    """One sentence and the provider's own message, without tracebacks, with URLs and addresses masked."""
    said, _, _ = provider_text.partition("Traceback (most recent call last)")
    message = _ADDRESS.sub("<address>", _DECORATION.sub("", said.strip())).strip()
    opening = SENTENCES.get(code, SENTENCES["agent_error"])
    return f"{opening}: {message[:MAX_TEXT]}" if message else opening
