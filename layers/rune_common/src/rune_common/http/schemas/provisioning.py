"""Vast.ai options, flat or nested (jobs-api.md 1.3 T3): both become the flat ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, Field

from rune_common.domain.errors import FieldProblem, InvalidRequest

NESTED = "provisioning"
VASTAI_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "template_hash": "template_hash",
        "min_dph": "min_dph",
        "max_dph": "max_dph",
        "reliability": "reliability",
        "stop_instance": "vastai_stop_instance",
    }
)
"""The flat name of each nested one."""


class VastaiProvisioning(BaseModel):
    """The nested form. Its limits are those of the flat fields."""

    template_hash: str | None = None
    min_dph: Annotated[float, Field(ge=0, le=128)] | None = None
    max_dph: Annotated[float, Field(ge=0, le=128)] | None = None
    reliability: Annotated[float, Field(ge=0, le=100)] | None = None
    stop_instance: bool | None = None


class Provisioning(BaseModel):
    """Null and `{}` mean none; `vastai` not null means `vastai: true`, and the flat fields are ignored."""

    vastai: VastaiProvisioning | None = None


@dataclass(frozen=True, slots=True)
class FlatOptions:
    """A body without `provisioning`. `spelled`: where a flat field came from; `ignored`: names of the caller."""

    members: Mapping[str, Any]
    spelled: Mapping[str, str]
    ignored: tuple[str, ...] = ()


def flattened(body: Mapping[str, Any]) -> FlatOptions:
    """Raises InvalidRequest for a nested form that is no object."""
    outer = _object(body.get(NESTED), NESTED)
    others = [f"{NESTED}.{name}" for name, value in outer.items() if name != "vastai" and value is not None]
    rest = {name: value for name, value in body.items() if name != NESTED}
    if outer.get("vastai") is None:
        return FlatOptions(rest, {}, tuple(others))
    inner = _object(outer["vastai"], f"{NESTED}.vastai")
    unknown = [f"{NESTED}.vastai.{name}" for name in inner if name not in VASTAI_FIELDS]
    flat = {"vastai", *VASTAI_FIELDS.values()}
    shadowed = [name for name, value in rest.items() if name in flat and _given(value)]
    kept = {name: value for name, value in rest.items() if name not in flat}
    nested = {VASTAI_FIELDS[name]: value for name, value in inner.items() if name in VASTAI_FIELDS}
    spelled = {VASTAI_FIELDS[name]: f"{NESTED}.vastai.{name}" for name in inner if name in VASTAI_FIELDS}
    return FlatOptions({**kept, "vastai": True, **nested}, spelled, (*shadowed, *others, *unknown))


def _object(value: Any, field: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidRequest(FieldProblem(field, "type", "must be an object"))
    return value


def _given(value: Any) -> bool:
    """Null, and what means "not given" in a flat field (T4), is no contradiction to name."""
    return value is not None and value != "" and (isinstance(value, bool) or value != 0)
