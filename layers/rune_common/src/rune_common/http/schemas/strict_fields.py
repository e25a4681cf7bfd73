"""Bodies of the Runtime Runs API: strict in what they hold, tolerant of what they need not (runs-api.md 1.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from rune_common.domain.errors import InvalidRequest
from rune_common.http.schemas.tolerance import showable
from rune_common.http.validation import field_problems

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Parsed(Generic[Model]):
    """A valid body, and the dotted names of what has no meaning in it, fit for a header."""

    value: Model
    ignored: tuple[str, ...]


def parsed(
    model: type[Model], body: Mapping[str, Any], *, synonyms: Mapping[str, str] | None = None
) -> Parsed[Model]:
    """Null means "not given". Of two names for one field the one that the model has counts.

    Raises InvalidRequest naming every field that does not fit.
    """
    values, ignored, spelled = _renamed(body, synonyms or {})
    ignored += _unknown(model, values, "")
    try:
        found = model.model_validate(_given(values))
    except ValidationError as exc:
        problems = exc.errors(include_url=False, include_input=False)
        raise InvalidRequest(*field_problems(problems, spelled=spelled)) from None
    return Parsed(found, showable(ignored))


def _renamed(
    body: Mapping[str, Any], synonyms: Mapping[str, str]
) -> tuple[dict[str, Any], list[str], dict[str, str]]:
    values: dict[str, Any] = {}
    ignored, spelled = [], {}
    for name, value in body.items():
        field = synonyms.get(name, name)
        if field != name and body.get(field) is not None:
            ignored.append(name)
        else:
            values[field] = value
            spelled[field] = name
    return values, ignored, spelled


def _given(value: Any) -> Any:
    """Without the members that are null, at every depth that a model has."""
    if isinstance(value, Mapping):
        return {name: item for name, item in value.items() if item is not None}
    return value


def _unknown(model: type[BaseModel], values: Mapping[str, Any], prefix: str) -> list[str]:
    return list(_unknown_names(model, values, prefix))


def _unknown_names(model: type[BaseModel], values: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, value in values.items():
        field = model.model_fields.get(name)
        if field is None:
            yield f"{prefix}{name}"
            continue
        inner = next(iter(_models(field.annotation)), None)
        if inner is None:
            continue
        for place, each in enumerate(value) if isinstance(value, list) else [("", value)]:
            if isinstance(each, Mapping):
                dotted = f"{prefix}{name}." if place == "" else f"{prefix}{name}.{place}."
                yield from _unknown_names(inner, each, dotted)


def _models(hint: Any) -> Iterator[type[BaseModel]]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint
    for each in get_args(hint):
        yield from _models(each)
