"""A tenant's settings: its defaults, its profiles, how changes merge and what applies (jobs-api.md 12)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from rune_common.domain.errors import (
    FieldProblem,
    InvalidRequest,
    ProfileExists,
    ProfileNotFound,
    SecretNotAllowed,
)
from rune_common.domain.setting_keys import BUILT_IN, KEYS, SPEND_LIMITS, SYNONYMS, looks_secret

MAX_PROFILES = 50
MAX_BYTES = 256 * 1024
"""All settings of a tenant together, as JSON: they are one item, and every submission reads it."""

PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
FILE_VERSION = "1"

Section = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TenantSettings:
    """What is stored for a tenant. `version` counts the writes; 0 means that nothing was ever stored."""

    defaults: Section = field(default_factory=dict)
    profiles: Mapping[str, Section] = field(default_factory=dict)
    active_profile: str | None = None
    version: int = 0

    @property
    def etag(self) -> str:
        """The entity tag of this version, with its quotes."""
        return f'"{self.version}"'

    def profile(self, name: str) -> Section:
        """Raises ProfileNotFound, also for a name that no profile can have."""
        found = self.profiles.get(name)
        if found is None:
            raise ProfileNotFound(name)
        return found


class SettingsStore(Protocol):
    """Every tenant's settings. Reads are strongly consistent. Raises Unavailable."""

    def read(self, tenant: str) -> TenantSettings:
        """The settings; those of version 0 when there are none."""
        ...

    def write(self, tenant: str, settings: TenantSettings) -> TenantSettings:
        """Store them if the stored version is still `settings.version`; returns them with the next one.

        Raises SettingsChanged when somebody else wrote first.
        """
        ...


class ServerDefaults(Protocol):
    """The operator's side: values between the built-in ones and the tenant's, by setting key."""

    def tenant_defaults(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class SectionChange:
    """Keys to set and keys to delete. `ignored`: names without a meaning, as the caller wrote them."""

    values: Mapping[str, Any] = field(default_factory=dict)
    deleted: frozenset[str] = frozenset()
    ignored: tuple[str, ...] = ()

    def apply(self, section: Section) -> dict[str, Any]:
        kept = {name: value for name, value in section.items() if name not in self.deleted}
        return {**kept, **self.values}


def read_change(members: Section, *, server: Mapping[str, Any], within: str = "settings") -> SectionChange:
    """Check what a caller wants to set. Null deletes a key, and so does blank where blank means "not given".

    Of two names for one key the newer counts. Names that are no keys are ignored (jobs-api.md 1.3 T2), except
    such as look like secrets. Raises SecretNotAllowed, UnknownAgent, UnknownBackendType, and InvalidRequest
    for all other faults together; `within` is the field that held the members.
    """
    if any(looks_secret(name) for name in _names(members)):
        raise SecretNotAllowed
    values: dict[str, Any] = {}
    deleted, ignored, problems = set(), [], []
    for spelled, value in members.items():
        name = SYNONYMS.get(spelled, spelled)
        if name not in KEYS or (name != spelled and name in members):
            ignored.append(spelled)
        elif value is None or (
            KEYS[name].blank_is_unset and value in ("", 0) and not isinstance(value, bool)
        ):
            deleted.add(name)
        else:
            values[name] = _as_share(value) if name == "reliability" else value
            problem = KEYS[name].rule(values[name]) or _above_server(name, value, server)
            if problem:
                problems.append(FieldProblem(f"{within}.{spelled}", *problem))
    if problems:
        raise InvalidRequest(*problems)
    return SectionChange(values, frozenset(deleted), tuple(ignored))


def with_change(stored: TenantSettings, change: SectionChange, profile: str | None) -> TenantSettings:
    """Merge into `profile`, else into the active one, else into the defaults. Raises ProfileNotFound."""
    target = profile or stored.active_profile
    if target is None:
        return replace(stored, defaults=change.apply(stored.defaults))
    changed = change.apply(stored.profile(target))
    return replace(stored, profiles={**stored.profiles, target: changed})


def with_active(stored: TenantSettings, name: str | None) -> TenantSettings:
    """Raises ProfileNotFound."""
    if name is not None:
        stored.profile(name)
    return replace(stored, active_profile=name)


def with_profile(stored: TenantSettings, name: str, change: SectionChange) -> TenantSettings:
    """Raises ProfileExists, and InvalidRequest when there are too many."""
    if name in stored.profiles:
        raise ProfileExists(name)
    if len(stored.profiles) >= MAX_PROFILES:
        raise InvalidRequest(FieldProblem("profiles", "too_long", f"must have at most {MAX_PROFILES} items"))
    return replace(stored, profiles={**stored.profiles, name: change.apply({})})


def without_profile(stored: TenantSettings, name: str) -> TenantSettings:
    """The active profile becomes None if it was this one. Raises ProfileNotFound."""
    stored.profile(name)
    left = {each: section for each, section in stored.profiles.items() if each != name}
    return replace(
        stored, profiles=left, active_profile=None if stored.active_profile == name else stored.active_profile
    )


def effective(
    stored: TenantSettings, server: Mapping[str, Any], *, profile: str | None = None
) -> dict[str, Any]:
    """What applies: built-in, then server, then the tenant's defaults, then the active profile or `profile`.

    Keys without any value are left out. A spend limit is never above the server's, even when that was lowered
    after the tenant had set its own. Raises ProfileNotFound for a `profile` that is not there.
    """
    chosen = profile or stored.active_profile
    layers = {**BUILT_IN, **server}
    merged = {**layers, **stored.defaults, **(stored.profile(chosen) if chosen else {})}
    for limit in SPEND_LIMITS:
        merged[limit] = min(merged[limit], layers[limit])
    return {name: merged[name] for name in KEYS if merged.get(name) is not None}


def check_whole(
    stored: TenantSettings, change: SectionChange, server: Mapping[str, Any], *, profile: str | None = None
) -> None:
    """What only shows once a change is merged: a price range upside down, too much to store.

    Raises InvalidRequest.
    """
    applied = effective(stored, server, profile=profile)
    if {"min_dph", "max_dph"} & change.values.keys() and applied["min_dph"] > applied["max_dph"]:
        raise InvalidRequest(
            FieldProblem("settings.min_dph", "too_large", "must not be greater than max_dph")
        )
    if len(as_json(stored)) > MAX_BYTES:
        raise InvalidRequest(
            FieldProblem("settings", "too_long", f"must have at most {MAX_BYTES} bytes in all")
        )


def as_file(stored: TenantSettings, profile: str | None = None) -> dict[str, Any]:
    """The settings in the shape of a configuration file (jobs-api.md 16), all profiles or only `profile`.

    Keys that the file does not know are left out. Raises ProfileNotFound.
    """
    chosen = stored.profiles if profile is None else {profile: stored.profile(profile)}
    return {
        "version": FILE_VERSION,
        "defaults": _for_file(stored.defaults),
        "profiles": {name: _for_file(section) for name, section in chosen.items()},
    }


def as_json(stored: TenantSettings) -> str:
    """All but the version, as ASCII text."""
    document = {
        "defaults": dict(stored.defaults),
        "profiles": {name: dict(section) for name, section in stored.profiles.items()},
        "active_profile": stored.active_profile,
    }
    return json.dumps(document, separators=(",", ":"))


def from_json(document: str, version: int) -> TenantSettings:
    return TenantSettings(**json.loads(document), version=version)


def _for_file(section: Section) -> dict[str, Any]:
    return {name: section[name] for name, key in KEYS.items() if key.in_file and name in section}


def _as_share(value: Any) -> Any:
    """Above 1 and up to 100 it is a percentage (jobs-api.md 1.3 T5)."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value / 100 if number and 1 < value <= 100 else value


def _above_server(name: str, value: Any, server: Mapping[str, Any]) -> tuple[str, str] | None:
    if name in SPEND_LIMITS and value > server.get(name, BUILT_IN[name]):
        return "too_large", "must not be above the server's limit"
    return None


def _names(value: Any) -> list[str]:
    """Every name in a value, at any depth; a request is at most 32 deep (jobs-api.md 1.1)."""
    if isinstance(value, Mapping):
        return [*value, *(name for each in value.values() for name in _names(each))]
    return [name for each in value for name in _names(each)] if isinstance(value, list) else []
