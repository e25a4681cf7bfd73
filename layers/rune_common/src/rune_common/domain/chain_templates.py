"""Question templates of chains: `{key}`, `{{` and `}}`, nothing else (jobs-api.md 8).

No attribute, index or format syntax, so a template can reach nothing but the texts it was given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MAX_ANSWER_BYTES = 32 * 1024
"""Where an answer is cut before it goes into another step's question."""

KEY = r"[A-Za-z][A-Za-z0-9_-]{0,63}"
_PART = re.compile(r"\{\{|\}\}|\{(?P<key>" + KEY + r")\}|[{}]")
_LITERALS = {"{{": "{", "}}": "}"}


class TemplateError(ValueError):
    """A brace that belongs to no placeholder."""


@dataclass(frozen=True, slots=True)
class _Placeholder:
    key: str


def placeholders(template: str) -> frozenset[str]:
    """The keys that a template asks for. Raises TemplateError."""
    return frozenset(part.key for part in _parts(template) if isinstance(part, _Placeholder))


def render(template: str, values: Mapping[str, str]) -> str:
    """The template with its placeholders replaced, once: braces in a value mean nothing.

    Raises TemplateError, and KeyError for a key without a value.
    """
    parts = tuple(_parts(template))  # a template that is refused is refused whole
    return "".join(values[part.key] if isinstance(part, _Placeholder) else part for part in parts)


def cut(answer: str, limit: int = MAX_ANSWER_BYTES) -> str:
    """The longest beginning of a text that is at most `limit` bytes of UTF-8; no character is split."""
    encoded = answer.encode("utf-8", "replace")
    return answer if len(encoded) <= limit else encoded[:limit].decode("utf-8", "ignore")


def _parts(template: str) -> Iterator[str | _Placeholder]:
    at = 0
    for found in _PART.finditer(template):
        yield template[at : found.start()]
        at = found.end()
        if found["key"]:
            yield _Placeholder(found["key"])
        elif found[0] in _LITERALS:
            yield _LITERALS[found[0]]
        else:
            raise TemplateError("a brace belongs to no placeholder")
    yield template[at:]
