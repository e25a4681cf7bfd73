"""Where lists of models come from: a server, or this process. The commands know only `ModelSource`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from rune.cli.backends import HTTP, open_client
from rune.cli.client import BAD_ANSWER, JobsClient
from rune.cli.failures import CliFailure
from rune.cli.invocation import Invocation
from rune.cli.product_errors import product_errors


class ModelSource(Protocol):
    """Both answers are those of jobs-api.md 13. Raises CliFailure."""

    def catalog(self) -> dict[str, Any]: ...
    def of_server(self, backend_url: str, backend_type: str) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class ServerModels:
    """A Rune server's answers."""

    client: JobsClient

    def catalog(self) -> dict[str, Any]:
        return _with_lists(self.client.catalog(), "models", of=dict)

    def of_server(self, backend_url: str, backend_type: str) -> dict[str, Any]:
        return _with_lists(self.client.models(backend_url, backend_type), "models", "running_models", of=str)


@dataclass(frozen=True, slots=True)
class LocalModels:
    """The same from this process: no server, and nothing of the local stack is started."""

    environ: Mapping[str, str]

    def catalog(self) -> dict[str, Any]:
        from rune_common.domain.model_catalog import CATALOG
        from rune_common.http.schemas.models import CatalogView

        return CatalogView.of(CATALOG).model_dump()

    def of_server(self, backend_url: str, backend_type: str) -> dict[str, Any]:
        from rune.local.machine import machine_settings
        from rune_common.adapters.model_servers import HttpModelServers
        from rune_common.domain.addresses import AddressPolicy
        from rune_common.http.schemas.models import ModelListView
        from rune_common.usecases.list_llm_models import list_llm_models

        with product_errors():
            settings = machine_settings(self.environ)
            policy = AddressPolicy(settings.backend_allowlist, settings.backend_allow_public)
            found = list_llm_models(
                backend_url, backend_type, servers=HttpModelServers(policy), backends=policy
            )
        return ModelListView.of(found).model_dump()


@contextmanager
def open_models(invocation: Invocation) -> Iterator[ModelSource]:
    """The configured source."""
    if invocation.configuration.text("backend") != HTTP:
        yield LocalModels(invocation.surroundings.environ)
        return
    with open_client(invocation) as client:
        yield ServerModels(client)


def _with_lists(answer: dict[str, Any], *names: str, of: type) -> dict[str, Any]:
    """The answer, if it has these lists. Raises CliFailure."""
    lists = [answer.get(name) for name in names]
    if not all(isinstance(each, list) and all(isinstance(item, of) for item in each) for each in lists):
        raise CliFailure(BAD_ANSWER, code="bad_answer")
    return answer
