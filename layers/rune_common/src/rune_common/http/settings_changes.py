"""From a request's body to a change of settings (jobs-api.md 12)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends
from pydantic import BaseModel, ValidationError

from rune_common.domain.errors import InvalidRequest
from rune_common.http.body import RawBody, json_object
from rune_common.http.schemas.tenant_settings import ChangeSettings, CreateProfile
from rune_common.http.schemas.tolerance import Fields, Tolerance
from rune_common.http.validation import field_problems
from rune_common.usecases.change_settings import SettingsRequest

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class AskedChange:
    """`name` is that of a new profile, empty for a change; `ignored`: fields of the body without a meaning."""

    request: SettingsRequest
    ignored: tuple[str, ...]
    name: str = ""


def settings_change(raw: RawBody) -> AskedChange:
    """Raises InvalidRequest and its kinds."""
    members = json_object(raw).members
    fields = _tolerance(ChangeSettings).read(members)
    body = _validated(ChangeSettings, fields)
    request = SettingsRequest(
        members=body.settings,
        within=fields.spelled.get("settings", "settings"),
        profile=body.profile,
        activate="active_profile" in members,
        active_profile=body.active_profile,
    )
    return AskedChange(request, fields.ignored)


def new_profile(raw: RawBody) -> AskedChange:
    """Raises InvalidRequest and its kinds."""
    fields = _tolerance(CreateProfile).read(json_object(raw).members)
    body = _validated(CreateProfile, fields)
    request = SettingsRequest(body.settings, fields.spelled.get("settings", "settings"))
    return AskedChange(request, fields.ignored, body.name)


SettingsChange = Annotated[AskedChange, Depends(settings_change)]
NewProfile = Annotated[AskedChange, Depends(new_profile)]


def _tolerance(model: type[BaseModel]) -> Tolerance:
    return Tolerance(
        known=frozenset(model.model_fields),
        synonyms={"config": "settings"},
        empty_means_absent=frozenset({"profile", "active_profile"}),
        percentages=frozenset(),
    )


def _validated(model: type[Model], fields: Fields) -> Model:
    try:
        return model.model_validate(fields.values)
    except ValidationError as exc:
        found = exc.errors(include_url=False, include_input=False)
        raise InvalidRequest(*field_problems(found, spelled=fields.spelled)) from None
