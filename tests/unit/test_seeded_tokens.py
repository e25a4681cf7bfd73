"""Tokens seeded by variables (jobs-api.md 2)."""

from __future__ import annotations

import pytest

from rune_common.adapters.memory import MemoryTokenStore
from rune_common.adapters.seeded_tokens import SeededTokenStore, seed_records
from rune_common.domain.access import TokenRecord, token_hash
from rune_common.domain.errors import Misconfigured
from rune_common.settings import Settings

A, B = "a" * 32, "b" * 31 + ":"


def test_seeds_are_human_of_one_tenant_without_expiry_and_with_all_scopes():
    first, second = seed_records(f"default:{A}, teamb:{B},")
    assert first == TokenRecord(token_hash(A), f"seed-{token_hash(A)[:8]}", "human", ("default",), ("*",))
    assert (second.token_hash, second.tenants) == (token_hash(B), ("teamb",))


def test_a_tenant_may_have_several_seeds_and_a_secret_several_tenants():
    assert len(seed_records(f"t:{A},t:{B}")) == 2
    (both,) = seed_records(f"t:{A},u:{A}")
    assert both.tenants == ("t", "u")


def test_policies_give_scopes_and_whoever_they_do_not_name_has_none():
    first, second = seed_records(f"t:{A},u:{B}", "t:runs:read+runs:write")
    assert (first.scopes, second.scopes) == (("runs:read", "runs:write"), ())


@pytest.mark.parametrize(
    ("tokens", "policies"),
    [
        ("default:too-short-secret", ""),
        ("no-separator-but-long-enough-for-a-secret", ""),
        (f":{A}", ""),
        (f"bad tenant:{A}", ""),
        (f"default:{'ä' * 32}", ""),
        (f"t:{A}", "t:no:such"),
        (f"t:{A}", "t"),
        (f"t:{A},u:{A}", "t:runs:read,u:runs:write"),
    ],
)
def test_a_mistake_refuses_to_start_and_prints_no_secret(tokens, policies):
    with pytest.raises(Misconfigured) as raised:
        seed_records(tokens, policies)
    text = str(raised.value)
    assert "RUNE_API_TOKEN" in text
    assert not any(entry.partition(":")[2] in text for entry in tokens.split(",") if ":" in entry)
    assert "separator" not in text


def test_seeds_stand_over_the_stored_tokens_and_only_hashes_are_kept():
    stored = MemoryTokenStore()
    store = SeededTokenStore.of(Settings(api_tokens=f"default:{A}"), stored)
    other = TokenRecord(token_hash(B), "x", "human", ("t",), ("*",))
    store.add(other)
    assert store.find(token_hash(A)).tenants == ("default",)
    assert store.find(token_hash(B)) == stored.find(token_hash(B)) == other
    assert stored.find(token_hash(A)) is None
    assert A not in repr(vars(store))


def test_seeds_and_stored_tokens_can_be_revoked():
    store = SeededTokenStore(seed_records(f"t:{A}"), MemoryTokenStore())
    store.add(TokenRecord(token_hash(B), "x", "human", ("t",), ("*",)))
    assert store.revoke(token_hash(A))
    assert store.revoke(token_hash(B))
    assert not store.revoke(token_hash("c" * 32))
    assert store.find(token_hash(A)).revoked
    assert store.find(token_hash(B)).revoked
