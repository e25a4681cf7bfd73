"""Read a tenant's settings and profiles, and what of them applies (jobs-api.md 12). Nothing is ever written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rune_common.domain.access import Principal
from rune_common.domain.tenant_settings import (
    Section,
    ServerDefaults,
    SettingsStore,
    TenantSettings,
    as_file,
    effective,
)


@dataclass(frozen=True, slots=True)
class SettingsReport:
    """What is stored, and what applies."""

    stored: TenantSettings
    effective: Mapping[str, Any]


def effective_settings(tenant: str, *, settings: SettingsStore, server: ServerDefaults) -> Mapping[str, Any]:
    """What applies to a tenant's request that says nothing else, by setting key; one read of one item.

    Built-in values, then the server's, then the tenant's defaults, then its active profile. A key that
    nobody sets is absent.
    """
    return effective(settings.read(tenant), server.tenant_defaults())


def read_settings(caller: Principal, *, settings: SettingsStore, server: ServerDefaults) -> SettingsReport:
    stored = settings.read(caller.tenant)
    return SettingsReport(stored, effective(stored, server.tenant_defaults()))


def list_profiles(caller: Principal, *, settings: SettingsStore) -> tuple[str, ...]:
    """The names in alphabetical order."""
    return tuple(sorted(settings.read(caller.tenant).profiles))


def read_profile(name: str, caller: Principal, *, settings: SettingsStore) -> Section:
    """What the profile itself sets. Raises ProfileNotFound."""
    return settings.read(caller.tenant).profile(name)


def export_settings(profile: str | None, caller: Principal, *, settings: SettingsStore) -> Mapping[str, Any]:
    """The settings as a configuration file's content (jobs-api.md 16). Raises ProfileNotFound."""
    return as_file(settings.read(caller.tenant), profile)
