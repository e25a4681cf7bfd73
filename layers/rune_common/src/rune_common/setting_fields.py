"""How a setting is declared, read from a variable and written back."""

from __future__ import annotations

from dataclasses import field
from typing import Any, get_args, get_origin

from rune_common.domain.errors import Misconfigured

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


def setting(variable: str, default: Any, meaning: str, section: str, *, secret: bool = False) -> Any:
    """A field read from `variable`; `section` names the contract's section."""
    metadata = {"variable": variable, "meaning": meaning, "section": section, "secret": secret}
    return field(default=default, metadata=metadata, repr=not secret)


def as_text(value: Any) -> str:
    """A setting as its variable holds it; `parsed` reads it back."""
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def parsed(variable: str, text: str, kind: Any) -> Any:
    """A variable's text as its field's type. Raises Misconfigured naming the variable, never its text."""
    if get_origin(kind) is tuple and get_args(kind)[0] is str:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind is bool:
        if text.lower() not in TRUE | FALSE:
            raise Misconfigured(f"{variable} must be true or false")
        return text.lower() in TRUE
    try:
        return kind(text)
    except ValueError:
        raise Misconfigured(f"{variable} must be a number") from None
