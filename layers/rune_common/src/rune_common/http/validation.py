"""What pydantic found wrong, in our own words: the field and the rule, never the value (jobs-api.md 1.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rune_common.domain.errors import FieldProblem

_RULES: dict[str, tuple[str, str]] = {
    "missing": ("missing", "is required"),
    "string_type": ("type", "must be a string"),
    "int_type": ("type", "must be an integer"),
    "int_parsing": ("type", "must be an integer"),
    "int_parsing_size": ("type", "must be an integer"),
    "int_from_float": ("type", "must be an integer"),
    "float_type": ("type", "must be a number"),
    "float_parsing": ("type", "must be a number"),
    "finite_number": ("type", "must be a number"),
    "bool_type": ("type", "must be true or false"),
    "dict_type": ("type", "must be an object"),
    "model_type": ("type", "must be an object"),
    "model_attributes_type": ("type", "must be an object"),
    "list_type": ("type", "must be a list"),
    "string_too_short": ("too_short", "must have at least {min_length} characters"),
    "string_too_long": ("too_long", "must have at most {max_length} characters"),
    "too_long": ("too_long", "must have at most {max_length} items"),
    "string_pattern_mismatch": ("format", "has characters that are not allowed"),
    "greater_than": ("too_small", "must be greater than {gt}"),
    "greater_than_equal": ("too_small", "must be at least {ge}"),
    "less_than": ("too_large", "must be less than {lt}"),
    "less_than_equal": ("too_large", "must be at most {le}"),
    "literal_error": ("unknown", "must be one of {expected}"),
}
_UNKNOWN_RULE = ("invalid", "is not valid")


def field_problems(
    found: Iterable[Mapping[str, Any]], *, skip: int = 0, spelled: Mapping[str, str] | None = None
) -> tuple[FieldProblem, ...]:
    """Pydantic's `errors()` as problems. `skip` leading parts of a location are left out.

    `spelled` gives the name under which the caller sent a field.
    """
    problems = []
    for each in found:
        path = [str(part) for part in each["loc"][skip:]] or ["body"]
        path[0] = (spelled or {}).get(path[0], path[0])
        code, message = _RULES.get(each["type"], _UNKNOWN_RULE)
        problems.append(FieldProblem(".".join(path), code, message.format_map(each.get("ctx") or {})))
    return tuple(problems)
