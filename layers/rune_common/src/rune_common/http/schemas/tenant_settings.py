"""Settings and profiles on the wire (jobs-api.md 12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from rune_common.domain.tenant_settings import PROFILE_NAME, Section, SectionChange
from rune_common.http.schemas.tolerance import showable
from rune_common.usecases.read_settings import SettingsReport

NAME_PATTERN = f"^{PROFILE_NAME.pattern}$"


class ChangeSettings(BaseModel):
    """Keys to merge, null deleting a key, into `profile`, else the active profile, else the defaults.

    `config` means the same as `settings`. `active_profile` null leaves no profile active.
    """

    model_config = ConfigDict(strict=True)

    settings: dict[str, Any] = Field(default_factory=dict)
    profile: str | None = Field(None, max_length=64)
    active_profile: str | None = Field(None, max_length=64)


class CreateProfile(BaseModel):
    """A new profile; `config` means the same as `settings`."""

    model_config = ConfigDict(strict=True)

    name: str = Field(pattern=NAME_PATTERN)
    settings: dict[str, Any] = Field(default_factory=dict)


class SettingsView(BaseModel):
    """What the tenant has set; `effective_config`, and `config` as well, is what applies."""

    defaults: dict[str, Any]
    profiles: dict[str, dict[str, Any]]
    active_profile: str | None
    effective_config: dict[str, Any]
    config: dict[str, Any]

    @classmethod
    def of(cls, report: SettingsReport, response: Response) -> Self:
        """`response` gets the entity tag of what is stored."""
        response.headers["ETag"] = report.stored.etag
        return cls(
            defaults=dict(report.stored.defaults),
            profiles={name: dict(section) for name, section in report.stored.profiles.items()},
            active_profile=report.stored.active_profile,
            effective_config=dict(report.effective),
            config=dict(report.effective),
        )


class SettingsUpdated(BaseModel):
    status: Literal["updated"]

    @classmethod
    def of(cls, merged: SectionChange, ignored: tuple[str, ...], response: Response) -> Self:
        name_ignored(response, ignored, merged)
        return cls(status="updated")


class ProfileListView(BaseModel):
    profiles: list[str]


class ProfileView(BaseModel):
    """What the profile itself sets, under both names."""

    name: str
    settings: dict[str, Any]
    config: dict[str, Any]

    @classmethod
    def of(cls, name: str, section: Section) -> Self:
        return cls(name=name, settings=dict(section), config=dict(section))


class ProfileCreated(BaseModel):
    status: Literal["created"]
    name: str

    @classmethod
    def of(cls, name: str, merged: SectionChange, ignored: tuple[str, ...], response: Response) -> Self:
        name_ignored(response, ignored, merged)
        return cls(status="created", name=name)


class ProfileDeleted(BaseModel):
    status: Literal["deleted"]
    name: str


def name_ignored(response: Response, fields: tuple[str, ...], merged: SectionChange) -> None:
    """Name ignored fields, and ignored keys of the settings, in a header (jobs-api.md 1.3 T2)."""
    if names := showable((*fields, *merged.ignored)):
        response.headers["Rune-Ignored-Fields"] = ",".join(names)


class YamlResponse(Response):
    """Content as YAML, its keys in their own order."""

    media_type = "text/yaml; charset=utf-8"

    def render(self, content: Mapping[str, Any]) -> bytes:
        import yaml

        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode()
