"""Ask an Ollama server what it has, for the model catalog (runs-api.md 10)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from rune_common.domain.errors import BackendNotAllowed, Unavailable
from rune_common.domain.model_servers import ModelServer, ModelServers
from rune_common.domain.models_offered import BackendModels, ServedModel

MOST_DETAILS = 20
"""Of so many models, in alphabetical order, the server is asked what they can do."""


def look_at_backend(backend_url: str, *, servers: ModelServers) -> BackendModels:
    """Never raises for a server that is not allowed, does not answer or answers badly: it has not answered.

    A server that lists its models and then describes one not is not asked about the others.
    """
    try:
        server = servers.open("ollama", backend_url)
        names = server.list_models().installed
    except (BackendNotAllowed, Unavailable):
        return BackendModels(answered=False)
    described = dict(_described(names[:MOST_DETAILS], server))
    return BackendModels(True, tuple(described.get(name, ServedModel(name)) for name in names))


def _described(names: Sequence[str], server: ModelServer) -> Iterator[tuple[str, ServedModel]]:
    with suppress(Unavailable):
        for name in names:
            found = server.abilities(name)
            yield name, ServedModel(name, found.capabilities, found.context_length)
