"""`rank_models` and where its arguments come from (runs-api.md 10, 16; acceptance 31)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.kpi_samples import DAY, ended

from rune_common.domain.model_history import model_history
from rune_common.domain.model_offers import offered_models
from rune_common.domain.model_ranking import WEIGHTS, components, rank_models
from rune_common.domain.models_offered import (
    BackendModels,
    Entitlement,
    KnownModel,
    ListedModel,
    ModelAccount,
    ModelHistory,
    ModelPricing,
    OfferedModel,
    Reason,
    ServedModel,
)
from rune_common.domain.prices import TokenPrice

FREE = ModelAccount()


def known(model_id="m", **fields):
    return KnownModel(
        **({"canonical_id": model_id, "provider": "p", "display_name": model_id} | fields), model_id=model_id
    )


def offer(model_id="m", mode="managed", missing=None, **fields):
    return OfferedModel(known(model_id, **fields), mode, missing)


def test_the_formulas_are_those_of_the_contract():
    history = ModelHistory(runs=10, successes=9, model_errors=1, p50_latency_ms=5_000, share=0.3)
    found = components(known(prior=0.8, pricing=ModelPricing(0.9, 1.0)), history)
    assert found == {
        "quality": (10 * 0.8 + 9) / 20,
        "cost": 0.5,
        "latency": 0.5,
        "reliability": (9.5 + 9) / 20,
        "affinity": 0.3,
    }


def test_a_model_without_history_price_and_prior_is_in_the_middle():
    assert components(known(), ModelHistory()) == {
        "quality": 0.5, "cost": 0.5, "latency": 0.5, "reliability": 0.95, "affinity": 0,
    }  # fmt: skip
    [found] = rank_models([offer()], FREE, {}, "orchestrator")
    assert (found.rank, found.score) == (1, round(0.45 * 0.5 + 0.25 * 0.95 + 0.15 * 0.5 + 0.1 * 0.5, 6))


@pytest.mark.parametrize("role", WEIGHTS)
def test_the_weights_of_a_role_add_up_to_one(role):
    assert sum(WEIGHTS[role].values()) == pytest.approx(1)


def test_a_tie_goes_to_the_lower_id_and_unavailable_models_come_last_by_id():
    models = [offer("b"), offer("a"), offer("z", deprecated=True), offer("c", missing=Reason.NOT_PULLED)]
    found = rank_models(models, FREE, {}, "any")
    assert [(each.model_id, each.rank, each.reason) for each in found] == [
        ("a", 1, None),
        ("b", 2, None),
        ("c", None, Reason.NOT_PULLED),
        ("z", None, Reason.DEPRECATED),
    ]
    assert [each.score is None for each in found] == [False, False, True, True]


@pytest.mark.parametrize(
    ("offered", "account", "budget", "reason"),
    [
        (offer(), ModelAccount(Entitlement(allowed=("gpt-*",))), None, Reason.TIER_NOT_ENTITLED),
        (offer(), ModelAccount(Entitlement(denied=("m",))), None, Reason.POLICY_DENIED),
        (
            offer(missing=Reason.NO_CREDENTIAL),
            ModelAccount(quota_state="exhausted"),
            None,
            Reason.NO_CREDENTIAL,
        ),
        (offer(), ModelAccount(quota_state="exhausted"), None, Reason.QUOTA_EXHAUSTED),
        (offer(mode="local"), ModelAccount(quota_state="exhausted"), None, None),
        (offer(), ModelAccount(quota_state="warning"), None, None),
        (offer(pricing=ModelPricing(1, 1)), FREE, 0.0109, Reason.BUDGET_EXCEEDED),
        (offer(pricing=ModelPricing(1, 1)), FREE, 0.011, None),
        (offer(), FREE, 0, None),
        (offer(deprecated=True), ModelAccount(Entitlement(denied=("*",))), None, Reason.DEPRECATED),
    ],
)
def test_what_keeps_a_tenant_from_a_model_is_told(offered, account, budget, reason):
    [found] = rank_models([offered], account, {}, "any", budget)
    assert found.reason is reason


MODELS = st.lists(
    st.builds(
        offer,
        st.sampled_from("abcdefgh"),
        missing=st.sampled_from([None, None, Reason.NOT_PULLED]),
        pricing=st.none() | st.builds(ModelPricing, st.floats(0, 100), st.floats(0, 100)),
        prior=st.none() | st.floats(0, 1),
    ),
    unique_by=lambda each: each.known.model_id,
)
HISTORY = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.integers(0, 50).flatmap(
        lambda runs: st.builds(
            ModelHistory,
            st.just(runs),
            st.integers(0, runs),
            st.integers(0, runs),
            st.none() | st.integers(0, 10**6),
            share=st.floats(0, 1),
        )
    ),
)


@given(MODELS, HISTORY, st.sampled_from(list(WEIGHTS)), st.randoms(use_true_random=False))
def test_the_order_of_the_models_does_not_matter(models, history, role, random):
    shuffled = list(models)
    random.shuffle(shuffled)
    assert rank_models(shuffled, FREE, history, role) == rank_models(models, FREE, history, role)


@given(MODELS, HISTORY, st.sampled_from(list(WEIGHTS)), st.data())
def test_removing_a_model_keeps_the_order_of_the_rest(models, history, role, data):
    before = [each.model_id for each in rank_models(models, FREE, history, role)]
    gone = data.draw(st.sampled_from(before or [""]))
    rest = [each for each in models if each.known.model_id != gone]
    after = rank_models(rest, FREE, history, role)
    assert [each.model_id for each in after] == [model_id for model_id in before if model_id != gone]


@given(MODELS, HISTORY, st.sampled_from(list(WEIGHTS)))
def test_components_and_scores_are_between_zero_and_one(models, history, role):
    for each in rank_models(models, FREE, history, role):
        assert all(0 <= value <= 1 for value in each.components.values())
        assert each.score is None or 0 <= each.score <= 1


def test_history_counts_the_runs_that_used_a_model():
    rows = [
        ended(
            1,
            used_models=("ollama_chat/a:1b", "b:1b"),
            call_ms=100,
            cost_micro_usd=500_000,
            findings_resolved=2,
        ),
        ended(2, used_models=("a:1b",), status="failed", error_code="EMPTY_ANSWER", call_ms=300),
        ended(3, used_models=("a:1b",), status="failed", error_code="COMMAND_FAILED", call_ms=200),
        ended(4, used_models=("a:1b",), status="cancelled"),
    ]
    found = model_history(["a:1b", "b:1b", "c:1b"], rows)
    assert set(found) == {"a:1b", "b:1b"}
    assert found["a:1b"] == ModelHistory(
        runs=3, successes=1, model_errors=1, p50_latency_ms=200, cost_per_closed_finding=0.25, share=1.0
    )
    assert (found["b:1b"].runs, found["b:1b"].share) == (1, 0.25)


def test_affinity_is_the_share_of_the_last_hundred_runs():
    rows = [ended(DAY + turn, used_models=("old",)) for turn in range(50)]
    rows += [ended(turn, used_models=("new",)) for turn in range(80)]
    found = model_history(["old", "new"], rows)
    assert (found["new"].share, found["old"].share) == (0.8, 0.2)
    assert found["old"].runs == 50


CATALOG = [
    known("llama:8b", provider="ollama", canonical_id="ollama_chat/llama:8b"),
    known("gpt", provider="openai", canonical_id="openai/gpt", pricing=ModelPricing(1, 2)),
]


def offers(listed=(), backend=None, prices=None):
    return {each.known.model_id: each for each in offered_models(CATALOG, listed, backend, prices or {})}


@pytest.mark.parametrize(
    ("backend", "missing"),
    [
        (None, Reason.NOT_PULLED),
        (BackendModels(answered=False), Reason.PROVIDER_DOWN),
        (BackendModels(answered=True), Reason.NOT_PULLED),
        (BackendModels(True, (ServedModel("llama:8b"),)), None),
    ],
)
def test_a_local_model_is_there_when_the_tenants_server_has_it(backend, missing):
    found = offers(backend=backend)["llama:8b"]
    assert (found.credential_mode, found.missing) == ("local", missing)


def test_a_hosted_model_needs_an_entry_in_the_operators_list():
    assert offers()["gpt"].missing is Reason.NO_CREDENTIAL
    by_id = offers([ListedModel("gpt", "azure/our-gpt")])["gpt"]
    by_model = offers([ListedModel("our-own", "openai/gpt", context_window=7, vision=True)])
    assert by_id.missing is None
    assert set(by_model) == {"llama:8b", "gpt"}
    found = by_model["gpt"].known
    assert (by_model["gpt"].missing, found.context_window, found.capabilities) == (None, 7, ("vision",))


def test_models_that_the_catalog_does_not_know_are_offered_as_their_source_describes_them():
    listed = [ListedModel("ours", "bedrock/x", pricing=ModelPricing(3, 4))]
    found = offers(
        listed, BackendModels(True, (ServedModel("own:1b", ("tools",), 4096), ServedModel("odd:1b")))
    )
    assert (found["ours"].known.provider, found["ours"].credential_mode) == ("bedrock", "managed")
    assert found["ours"].known.pricing == ModelPricing(3, 4)
    assert (found["own:1b"].known.capabilities, found["own:1b"].known.context_window) == (("tools",), 4096)
    assert (found["odd:1b"].known.capabilities, found["odd:1b"].credential_mode) == ((), "local")


def test_the_price_book_takes_the_place_of_other_prices():
    found = offers(prices={"gpt": TokenPrice(5, 6), "ollama_chat/llama:8b": TokenPrice(0, 0)})
    assert found["gpt"].known.pricing == ModelPricing(5, 6)
    assert found["llama:8b"].known.pricing == ModelPricing(0, 0)
    assert replace(found["gpt"].known, pricing=None) == replace(CATALOG[1], pricing=None)
