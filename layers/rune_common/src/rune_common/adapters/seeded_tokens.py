"""Tokens that the operator seeds by variables (jobs-api.md 2, runs-api.md 1.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Self

from rune_common.domain.access import (
    MIN_SECRET_CHARACTERS,
    SCOPES,
    TENANT_PATTERN,
    TokenRecord,
    TokenStore,
    seed_subject,
    token_hash,
)
from rune_common.domain.errors import Misconfigured
from rune_common.settings import Settings

ALL_SCOPES = ("*",)


class SeededTokenStore:
    """A TokenStore of seeds over another one. Seeds come and go with the process: none is stored."""

    def __init__(self, seeds: Iterable[TokenRecord], stored: TokenStore) -> None:
        self._seeds = {record.token_hash: record for record in seeds}
        self._stored = stored

    @classmethod
    def of(cls, settings: Settings, stored: TokenStore) -> Self:
        """Raises Misconfigured, whose text repeats no secret."""
        return cls(seed_records(settings.api_tokens, settings.api_token_policies), stored)

    def find(self, token_hash: str) -> TokenRecord | None:
        return self._seeds.get(token_hash) or self._stored.find(token_hash)

    def add(self, record: TokenRecord) -> None:
        self._stored.add(record)

    def revoke(self, token_hash: str) -> bool:
        """A revoked seed is refused by this process; it is back after a restart that still names it."""
        seed = self._seeds.get(token_hash)
        if seed is None:
            return self._stored.revoke(token_hash)
        self._seeds[token_hash] = replace(seed, revoked=True)
        return True


def seed_records(tokens: str, policies: str = "") -> tuple[TokenRecord, ...]:
    """The records of `tenant:secret,…`; `policies` is `tenant:scope+scope,…`, empty for all scopes.

    With policies, a tenant that they do not name has no scope. A tenant may have several seeds. Raises
    Misconfigured, whose text repeats no secret.
    """
    granted = _policies(policies)
    records = []
    for number, entry in enumerate(_entries(tokens), start=1):
        tenant, separator, secret = entry.partition(":")
        if not separator or not TENANT_PATTERN.fullmatch(tenant):
            raise Misconfigured(f"RUNE_API_TOKENS: entry {number} is not tenant:secret")
        if len(secret) < MIN_SECRET_CHARACTERS or not secret.isascii():
            raise Misconfigured(
                f"RUNE_API_TOKENS: the secret of entry {number} must have at least {MIN_SECRET_CHARACTERS}"
                " ASCII characters"
            )
        hashed = token_hash(secret)
        scopes = granted.get(tenant, ()) if policies else ALL_SCOPES
        records.append(TokenRecord(hashed, seed_subject(hashed), "human", (tenant,), scopes))
    return _by_hash(records)


def _by_hash(records: list[TokenRecord]) -> tuple[TokenRecord, ...]:
    """One record per secret: the same secret given for several tenants is a token of all of them."""
    found: dict[str, TokenRecord] = {}
    for record in records:
        earlier = found.get(record.token_hash)
        if earlier is not None and earlier.scopes != record.scopes:
            raise Misconfigured("RUNE_API_TOKEN_POLICIES: one secret may not have different scopes")
        tenants = (*(earlier.tenants if earlier else ()), *record.tenants)
        found[record.token_hash] = replace(record, tenants=tuple(dict.fromkeys(tenants)))
    return tuple(found.values())


def _policies(text: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for entry in _entries(text):
        tenant, separator, names = entry.partition(":")
        scopes = tuple(name.strip() for name in names.split("+") if name.strip())
        if not separator or any(scope not in (*SCOPES, *ALL_SCOPES) for scope in scopes):
            raise Misconfigured(f"RUNE_API_TOKEN_POLICIES: {tenant!r} has a scope that does not exist")
        found[tenant] = scopes
    return found


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]
