"""The table database for integration tests: one for the session, a fresh pair of tables for each test."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.integration.boto3_tables import Boto3Tables

from rune.local.database import LocalDatabase, find_binary
from rune.local.tables import make_tables, table_admin, table_definitions
from rune_common.adapters.dynamodb import DynamoFailureWindow, DynamoRunStore, DynamoTokenStore, connect
from rune_common.adapters.dynamodb_client import TableClient
from rune_common.adapters.memory import (
    MemoryBlobStore,
    MemoryFailureWindow,
    MemoryRunStore,
    MemorySealer,
    MemoryTokenStore,
)
from rune_common.domain.access import FailureWindow, TokenStore
from rune_common.domain.ports import RunStore

ROOT = Path(__file__).parents[2]
REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Tables:
    """A pair of empty tables and where they are."""

    endpoint: str
    runs: str
    identity: str


@pytest.fixture(scope="session")
def database_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`AWS_ENDPOINT_URL_DYNAMODB` if it is set, else a database that lives as long as the session."""
    given = os.environ.get("AWS_ENDPOINT_URL_DYNAMODB", "")
    if given:
        yield given
        return
    binary = find_binary(ROOT)
    if binary is None:
        pytest.fail("no local database: run `npm ci`, or set AWS_ENDPOINT_URL_DYNAMODB")
    with LocalDatabase(binary, tmp_path_factory.mktemp("database")) as database:
        yield database.endpoint


@pytest.fixture(scope="session")
def admin(database_endpoint: str) -> Any:
    return table_admin(database_endpoint, REGION)


@pytest.fixture(scope="session")
def definitions() -> dict[str, dict[str, Any]]:
    return table_definitions(ROOT / "template.yaml")


@pytest.fixture(scope="session")
def table_clients(database_endpoint: str, admin: Any) -> dict[str, TableClient]:
    """The product's client, and the reference on which the port suite proves itself."""
    return {"pydynox": connect(region=REGION, endpoint=database_endpoint), "boto3": Boto3Tables(admin)}


@pytest.fixture
def tables(database_endpoint: str, admin: Any, definitions: dict[str, dict[str, Any]]) -> Tables:
    prefix = f"test-{secrets.token_hex(6)}"
    found = Tables(database_endpoint, runs=f"{prefix}-runs", identity=f"{prefix}-identity")
    make_tables(definitions, {"RunsTable": found.runs, "IdentityTable": found.identity}, admin)
    return found


@pytest.fixture
def blobs() -> MemoryBlobStore:
    return MemoryBlobStore()


@pytest.fixture(params=["memory", "pydynox", "boto3"])
def run_store(request: pytest.FixtureRequest, blobs: MemoryBlobStore) -> RunStore:
    if request.param == "memory":
        return MemoryRunStore()
    return DynamoRunStore(
        request.getfixturevalue("tables").runs,
        request.getfixturevalue("table_clients")[request.param],
        sealer=MemorySealer(),
        blobs=blobs,
        retention_days=90,
    )


@pytest.fixture(params=["memory", "pydynox", "boto3"])
def identity(request: pytest.FixtureRequest) -> tuple[TokenStore, FailureWindow]:
    if request.param == "memory":
        return MemoryTokenStore(), MemoryFailureWindow()
    table = request.getfixturevalue("tables").identity
    client = request.getfixturevalue("table_clients")[request.param]
    return DynamoTokenStore(table, client), DynamoFailureWindow(table, client)
