"""Change a tenant's settings and profiles (jobs-api.md 12): read, merge, write if nobody was faster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rune_common.domain.access import Principal
from rune_common.domain.addresses import AddressNotAllowed, AddressPolicy, AddressUnresolved, Resolve
from rune_common.domain.errors import BackendNotAllowed, PreconditionFailed, SettingsChanged
from rune_common.domain.tenant_settings import (
    SectionChange,
    ServerDefaults,
    SettingsStore,
    TenantSettings,
    check_whole,
    read_change,
    with_active,
    with_change,
    with_profile,
    without_profile,
)

ATTEMPTS = 60

EntityTags = tuple[str, ...] | None
"""What `If-Match` lists; None means that any version will do."""


@dataclass(frozen=True, slots=True)
class SettingsRequest:
    """What a caller wants to change.

    `members` are the keys as sent, `within` the field they came in; `activate` says that `active_profile` is
    to be set, None meaning to no profile.
    """

    members: Mapping[str, Any] = field(default_factory=dict)
    within: str = "settings"
    profile: str | None = None
    activate: bool = False
    active_profile: str | None = None


def change_settings(
    request: SettingsRequest,
    caller: Principal,
    *,
    if_match: EntityTags,
    settings: SettingsStore,
    server: ServerDefaults,
    backends: AddressPolicy,
    resolve: Resolve | None = None,
) -> SectionChange:
    """Merge keys into `profile`, else into the active profile, else into the defaults.

    A profile that the same request makes active counts as active already. Returns what was merged. Raises
    InvalidRequest and its kinds, ProfileNotFound, PreconditionFailed; then nothing is changed.
    """
    limits = server.tenant_defaults()
    change = _checked(request.members, request.within, limits, backends, resolve)

    def merge(stored: TenantSettings) -> TenantSettings:
        if request.activate:
            stored = with_active(stored, request.active_profile)
        merged = with_change(stored, change, request.profile)
        check_whole(merged, change, limits, profile=request.profile)
        return merged

    _write(caller.tenant, merge, if_match, settings)
    return change


def create_profile(
    name: str,
    request: SettingsRequest,
    caller: Principal,
    *,
    if_match: EntityTags,
    settings: SettingsStore,
    server: ServerDefaults,
    backends: AddressPolicy,
    resolve: Resolve | None = None,
) -> SectionChange:
    """Store a new profile. Raises ProfileExists, InvalidRequest and its kinds, PreconditionFailed."""
    limits = server.tenant_defaults()
    change = _checked(request.members, request.within, limits, backends, resolve)

    def add(stored: TenantSettings) -> TenantSettings:
        added = with_profile(stored, name, change)
        check_whole(added, change, limits, profile=name)
        return added

    _write(caller.tenant, add, if_match, settings)
    return change


def delete_profile(name: str, caller: Principal, *, if_match: EntityTags, settings: SettingsStore) -> str:
    """Raises ProfileNotFound, PreconditionFailed."""
    _write(caller.tenant, lambda stored: without_profile(stored, name), if_match, settings)
    return name


def _checked(
    members: Mapping[str, Any],
    within: str,
    limits: Mapping[str, Any],
    backends: AddressPolicy,
    resolve: Resolve | None,
) -> SectionChange:
    change = read_change(members, server=limits, within=within)
    url = change.values.get("backend_url")
    if url is not None:
        try:
            backends.check_url(url, resolve)
        except AddressUnresolved:
            pass  # no error yet; whoever connects looks again (jobs-api.md 5.1)
        except AddressNotAllowed:
            raise BackendNotAllowed from None
    return change


def _write(
    tenant: str,
    change: Callable[[TenantSettings], TenantSettings],
    if_match: EntityTags,
    settings: SettingsStore,
) -> None:
    """Carry out a change on a fresh reading each time, so that no concurrent merge is lost."""
    for _ in range(ATTEMPTS):
        stored = settings.read(tenant)
        if if_match is not None and stored.etag not in if_match:
            raise PreconditionFailed
        changed = change(stored)
        if changed == stored:
            return
        try:
            settings.write(tenant, changed)
        except SettingsChanged:
            continue
        return
    raise SettingsChanged(tenant)
