"""`env` of a create call: an object whose odd keys are docker flags, or one string of docker flags."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from rune.sandbox.vast.refusal import invalid

PORT_FLAG = re.compile(r"^-p\s+(?:(\d{1,5}):)?(\d{1,5})(/udp|/tcp)?$")
VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


def read_environment(env: object) -> dict[str, str]:
    """`{"-p 11434:11434": "1", "NAME": "value"}` from either form; 400 for anything else."""
    match env:
        case None:
            return {}
        case str():
            return _from_flags(env)
        case Mapping():
            return _from_object(env)
    raise invalid("env must be an object or a string of docker flags")


def flags_of(environment: Mapping[str, str]) -> str:
    """The same as docker flags, which is how templates are kept."""
    words = [name if name.startswith("-") else f"-e {shlex.quote(f'{name}={value}')}"
             for name, value in environment.items()]  # fmt: skip
    return " ".join(words)


def mapped_ports(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Container ports that are mapped, as docker names them: `11434/tcp`."""
    found = [PORT_FLAG.match(name) for name in environment if name.startswith("-p")]
    return tuple(dict.fromkeys(f"{m[2]}{m[3] or '/tcp'}" for m in found if m))


def _from_object(env: Mapping[Any, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in env.items():
        if not isinstance(value, str):
            raise invalid(f"env: the value of {name!r} must be a string")
        found[_checked(str(name))] = value
    return found


def _from_flags(text: str) -> dict[str, str]:
    try:
        words = iter(shlex.split(text))
    except ValueError as exc:
        raise invalid(f"env: {exc}") from exc
    found: dict[str, str] = {}
    for word in words:
        value = next(words, None)
        if word not in ("-p", "-e") or value is None:
            raise invalid(f"env: cannot read {word!r}; it takes -p PORT:PORT and -e NAME=VALUE")
        if word == "-p":
            found[_checked(f"-p {value}")] = "1"
            continue
        name, equals, content = value.partition("=")
        if not equals:
            raise invalid(f"env: -e {name} has no value")
        found[_checked(name)] = content
    return found


def _checked(name: str) -> str:
    if PORT_FLAG.match(name) or VARIABLE.match(name):
        return name
    raise invalid(f"env: {name!r} is neither a variable's name nor -p PORT:PORT")
