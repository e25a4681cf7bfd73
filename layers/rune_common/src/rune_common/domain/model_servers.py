"""Model servers as the use cases see them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rune_common.domain.model_pulls import PullProgress


class ModelServer(Protocol):
    """One model server. Every call is bounded in time; `Unavailable` means that it did not answer."""

    def ready(self) -> bool: ...

    def installed(self, model: str) -> bool: ...

    def list_models(self) -> ListedModels: ...

    def abilities(self, model: str) -> ModelAbilities: ...

    def pull(self, model: str, *, progress: Callable[[PullProgress], None], stop: Callable[[], bool]) -> bool:
        """Get the model onto the server; True once it is there, False when `stop` ended it.

        A repeated pull goes on where the last one was. Raises PullRefused, and Unavailable when it stalls.
        """
        ...

    def warm_up(
        self, model: str, *, context_window: int, timeout_seconds: int, stop: Callable[[], bool]
    ) -> bool:
        """Load the model with the context size used later; False when it was not loaded in time or stopped."""
        ...


@dataclass(frozen=True, slots=True)
class ListedModels:
    """Names of models, sorted, each once."""

    installed: tuple[str, ...]
    running: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelAbilities:
    """`capabilities` None: the server reports none. `context_length` in tokens, None if unknown."""

    capabilities: tuple[str, ...] | None
    context_length: int | None


class ModelServers(Protocol):
    """Opens model servers by type and address.

    Raises BackendNotAllowed before any connection, and Unavailable for a name without an address.
    """

    def open(self, backend_type: str, backend_url: str) -> ModelServer: ...
