"""A server and a model server for each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.e2e.jobs_client import Jobs
from tests.e2e.local_server import LocalServer

from rune.sandbox.ollama.server import OllamaSim


@pytest.fixture(scope="session")
def ollama() -> Iterator[OllamaSim]:
    with OllamaSim() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def server_environment() -> dict[str, str]:
    """Variables of the module's server; a module that needs others says so itself."""
    return {}


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, server_environment: dict[str, str]
) -> Iterator[LocalServer]:
    """A server without tokens, with the stand-in driver."""
    found = LocalServer(tmp_path_factory.mktemp("server"), **server_environment)
    try:
        found.start()
        yield found
    finally:
        found.stop()


@pytest.fixture(scope="module")
def jobs(server: LocalServer, ollama: OllamaSim) -> Jobs:
    return Jobs(server.url, ollama.url)
