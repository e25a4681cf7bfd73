"""Ask an Ollama server what it has, for the model catalog (runs-api.md 10)."""

from __future__ import annotations

from rune_common.domain.errors import BackendNotAllowed, Unavailable
from rune_common.domain.models_offered import BackendModels, ServedModel
from rune_common.domain.ports import ModelServer, ModelServers

MOST_DETAILS = 20
"""Of so many models, in alphabetical order, the server is asked what they can do."""


def look_at_backend(backend_url: str, *, servers: ModelServers) -> BackendModels:
    """Never raises for a server that is not allowed, does not answer or answers badly: it has not answered."""
    try:
        server = servers.open("ollama", backend_url)
        names = server.list_models().installed
        detailed = tuple(_described(name, server) for name in names[:MOST_DETAILS])
    except (BackendNotAllowed, Unavailable):
        return BackendModels(answered=False)
    return BackendModels(True, (*detailed, *(ServedModel(name) for name in names[MOST_DETAILS:])))


def _described(name: str, server: ModelServer) -> ServedModel:
    try:
        found = server.abilities(name)
    except Unavailable:
        return ServedModel(name)
    return ServedModel(name, found.capabilities, found.context_length)
