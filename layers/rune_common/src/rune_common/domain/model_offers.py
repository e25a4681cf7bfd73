"""Which models a tenant is offered: the catalog, the operator's model list and its own server (runs-api.md 10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rune_common.domain.model_catalog import bare_name
from rune_common.domain.models_offered import (
    LOCAL_PROVIDER,
    BackendModels,
    KnownModel,
    ListedModel,
    ModelPricing,
    OfferedModel,
    Reason,
    ServedModel,
)
from rune_common.domain.prices import PriceBook


def offered_models(
    catalog: Iterable[KnownModel],
    listed: Sequence[ListedModel],
    backend: BackendModels | None,
    prices: PriceBook,
) -> list[OfferedModel]:
    """Each model once. `listed` are the entries that the tenant may see; `backend` None: it has no server.

    A model of the list is there with the operator's credential, whatever the catalog says about it. A model of
    the server that nobody else knows is offered with what the server says. Prices of the operator's price book
    take the place of all others.
    """
    known = {each.model_id: each for each in catalog}
    entries = {each.name: each for each in listed}
    by_canonical = {each.model: each for each in listed}
    served = {bare_name(each.name): each for each in backend.models} if backend else {}
    offers: dict[str, OfferedModel] = {}
    for model_id, model in known.items():
        entry = entries.get(model_id) or by_canonical.get(model.canonical_id)
        if entry is not None:
            offers[model_id] = OfferedModel(_as_listed(model, entry), "managed")
        elif model.provider == LOCAL_PROVIDER:
            offers[model_id] = OfferedModel(
                model, "local", _missing(served.get(bare_name(model_id)), backend)
            )
        else:
            offers[model_id] = OfferedModel(model, "managed", Reason.NO_CREDENTIAL)
    taken = {each.canonical_id for each in known.values()}
    for entry in listed:
        if entry.name not in offers and entry.model not in taken:
            offers[entry.name] = OfferedModel(_as_listed(_of_entry(entry), entry), "managed")
    local = {bare_name(model_id) for model_id, each in offers.items() if each.credential_mode == "local"}
    for name, server_model in served.items():
        if name not in local and name not in offers:
            offers[name] = OfferedModel(_of_server(name, server_model), "local")
    return [replace(each, known=_priced(each.known, prices)) for each in offers.values()]


def _missing(served: ServedModel | None, backend: BackendModels | None) -> Reason | None:
    if served is not None:
        return None
    return Reason.NOT_PULLED if backend is None or backend.answered else Reason.PROVIDER_DOWN


def _as_listed(model: KnownModel, entry: ListedModel) -> KnownModel:
    """What the operator's entry says about a model comes first."""
    seeing = ("vision",) if entry.vision and "vision" not in model.capabilities else ()
    return replace(
        model,
        context_window=entry.context_window or model.context_window,
        max_output_tokens=entry.max_output_tokens or model.max_output_tokens,
        capabilities=(*model.capabilities, *seeing),
        pricing=entry.pricing or model.pricing,
    )


def _of_entry(entry: ListedModel) -> KnownModel:
    provider, slash, _ = entry.model.partition("/")
    return KnownModel(
        model_id=entry.name,
        canonical_id=entry.model,
        provider=provider if slash else "openai",
        display_name=entry.name,
    )


def _of_server(name: str, served: ServedModel) -> KnownModel:
    return KnownModel(
        model_id=name,
        canonical_id=f"ollama_chat/{name}",
        provider=LOCAL_PROVIDER,
        display_name=name,
        context_window=served.context_window,
        capabilities=served.capabilities or (),
    )


def _priced(model: KnownModel, prices: PriceBook) -> KnownModel:
    names: Mapping[str, None] = dict.fromkeys((model.model_id, model.canonical_id, bare_name(model.model_id)))
    price = next((prices[name] for name in names if name in prices), None)
    if price is None:
        return model
    return replace(model, pricing=ModelPricing(price.input_per_mtok, price.output_per_mtok))
