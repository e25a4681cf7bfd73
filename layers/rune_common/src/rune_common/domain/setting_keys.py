"""The keys that a tenant may set, their types, limits and built-in values (jobs-api.md 12, 16, 4.3).

A rule looks at a value that is not null. It returns what is wrong, as a code and the end of a sentence, or
raises the error that has a name of its own (UnknownAgent, UnknownBackendType).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rune_common.domain.jobs import resolve_agent, resolve_backend_type

Problem = tuple[str, str]
Rule = Callable[[Any], Problem | None]

MAX_KUBECONFIG_PATH = 4096
SPEND_LIMITS = ("spend_limit_per_job_usd", "spend_limit_per_day_usd")
"""A tenant may lower these below the server's values, never raise them."""


def text(maximum: int, pattern: str | None = None, *, then: Callable[[str], object] | None = None) -> Rule:
    """`then` may raise what is wrong with the value's meaning."""
    allowed = re.compile(pattern, re.ASCII) if pattern else None

    def check(value: Any) -> Problem | None:
        if not isinstance(value, str):
            return "type", "must be a string"
        if not value:
            return "too_short", "must have at least 1 characters"
        if len(value) > maximum:
            return "too_long", f"must have at most {maximum} characters"
        if allowed and not allowed.fullmatch(value):
            return "format", "has characters that are not allowed"
        if then:
            then(value)
        return None

    return check


def flag(value: Any) -> Problem | None:
    return None if isinstance(value, bool) else ("type", "must be true or false")


def whole(low: int, high: int) -> Rule:
    def check(value: Any) -> Problem | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return "type", "must be an integer"
        return _outside(value, low, high)

    return check


def number(low: float, high: float) -> Rule:
    def check(value: Any) -> Problem | None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return "type", "must be a number"
        if isinstance(value, float) and not math.isfinite(value):
            return "type", "must be a number"
        return _outside(value, low, high)

    return check


def one_of(*words: str) -> Rule:
    def check(value: Any) -> Problem | None:
        if not isinstance(value, str):
            return "type", "must be a string"
        return None if value in words else ("unknown", f"must be one of {', '.join(words)}")

    return check


def path_only(value: Any) -> Problem | None:
    """A kubeconfig's path: a document holds secrets, which settings do not take."""
    problem = text(MAX_KUBECONFIG_PATH)(value)
    if problem is None and ("\n" in value or value.lstrip().startswith("{")):
        return "format", "must be a path"
    return problem


def scanner(value: Any) -> Problem | None:
    """A scanner of runs-api.md 11.1 as an object, or the name of a builtin one."""
    if isinstance(value, str):
        return text(64, r"[A-Za-z0-9._-]+")(value)
    if not isinstance(value, Mapping):
        return "type", "must be a string or an object"
    if value.get("kind") not in ("builtin", "command", "agent", "external"):
        return "unknown", "must have a kind: builtin, command, agent, external"
    return None


def _outside(value: float, low: float, high: float) -> Problem | None:
    if value < low:
        return "too_small", f"must be at least {low:g}"
    return ("too_large", f"must be at most {high:g}") if value > high else None


@dataclass(frozen=True, slots=True)
class SettingKey:
    """One key. `built_in` None: nothing applies when nobody sets it.

    `blank_is_unset`: zero or empty text means "not given" (jobs-api.md 1.3 T4). `in_file`: the configuration
    file of jobs-api.md 16 knows it as well.
    """

    name: str
    rule: Rule
    built_in: Any = None
    blank_is_unset: bool = False
    in_file: bool = True


_TABLE = (
    SettingKey("vastai", flag, False),
    SettingKey("template_hash", text(256, r"[A-Za-z0-9_-]+"), "c166c11f035d3a97871a23bd32ca6aba", True),
    SettingKey("max_dph", number(0, 128), 3.0, True),
    SettingKey("min_dph", number(0, 128), 0.0, True),
    SettingKey("reliability", number(0, 1), 0.99, True),
    SettingKey("vastai_stop_instance", flag, True),
    SettingKey("backend_type", text(64, then=resolve_backend_type), "ollama", True),
    SettingKey("backend_url", text(2048), None, True),
    SettingKey("backend_warmup", flag, True),
    SettingKey("backend_warmup_timeout", whole(1, 3600), 90, True),
    SettingKey("question", text(100_000), "What is unhealthy in this Kubernetes cluster?", True),
    SettingKey("model", text(128, r"[A-Za-z0-9._:/@-]+"), "llama3.1:8b", True),
    SettingKey("agent", text(64, then=resolve_agent), "holmes", True),
    SettingKey("kubeconfig", path_only, None, True),
    SettingKey("kubeconfig_ref", text(68, r"(?:ref:)?[A-Za-z0-9][A-Za-z0-9._-]{0,63}"), None, True, in_file=False),
    SettingKey("spend_limit_per_job_usd", number(0, 1_000_000), 5.0, in_file=False),
    SettingKey("spend_limit_per_day_usd", number(0, 1_000_000), 25.0, in_file=False),
    SettingKey("chat_timeout_seconds", whole(10, 780), 300, in_file=False),
    SettingKey("chat_on_disconnect", one_of("cancel", "continue"), "cancel", in_file=False),
    SettingKey("github_app_scanner", scanner, "secrets", in_file=False),
)  # fmt: skip

KEYS: Mapping[str, SettingKey] = {key.name: key for key in _TABLE}
SYNONYMS: Mapping[str, str] = {
    "ollama_warmup": "backend_warmup",
    "ollama_warmup_timeout": "backend_warmup_timeout",
    "ollama_url": "backend_url",
}
SECRET_WORDS = ("token", "secret", "password", "api_key")
BUILT_IN: Mapping[str, Any] = {key.name: key.built_in for key in _TABLE if key.built_in is not None}


def looks_secret(name: str) -> bool:
    """Whether a key's name says that its value is a secret."""
    return any(word in name.lower().replace("-", "_") for word in SECRET_WORDS)
