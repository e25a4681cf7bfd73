"""Ask a model server what it has (jobs-api.md 13, 5.1)."""

from __future__ import annotations

from dataclasses import dataclass

from rune_common.domain.addresses import AddressNotAllowed, AddressPolicy
from rune_common.domain.errors import (
    BackendNotAllowed,
    BackendUnavailable,
    MissingParameter,
    Unavailable,
    UnknownBackendType,
)
from rune_common.domain.jobs import resolve_backend_type
from rune_common.domain.model_servers import ListedModels, ModelServers

LISTABLE = ("ollama", "openai")
"""The kinds of server that can be asked by their address."""


@dataclass(frozen=True, slots=True)
class ModelListing:
    """`backend_url` in its normal form, and what the server there has and runs."""

    backend_url: str
    backend_type: str
    models: ListedModels


def list_llm_models(
    backend_url: str, backend_type: str, *, servers: ModelServers, backends: AddressPolicy
) -> ModelListing:
    """Empty text for the type means `ollama`; an empty URL is a missing one.

    Raises MissingParameter, UnknownBackendType and BackendNotAllowed before any connection, and
    BackendUnavailable, always the same, for a server that does not answer or answers badly.
    """
    if not backend_url:
        raise MissingParameter("backend_url")
    kind = resolve_backend_type(backend_type or LISTABLE[0])
    if kind not in LISTABLE:
        raise UnknownBackendType("backend_type", LISTABLE)
    try:
        url = backends.check_text(backend_url).url
        return ModelListing(url, kind, servers.open(kind, backend_url).list_models())
    except AddressNotAllowed:
        raise BackendNotAllowed from None
    except Unavailable:
        raise BackendUnavailable("Failed to query available models") from None
