"""A local database with the deployed tables, for as long as a benchmark needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rune.local.database import LocalDatabase, find_binary
from rune.local.functions import ROOT
from rune.local.tables import create_tables
from rune_common.domain.errors import Misconfigured
from rune_common.settings import Settings

REGION = "us-east-1"
DEFAULTS = Settings()


@contextmanager
def deployed_tables(folder: Path) -> Iterator[str]:
    """Yields the endpoint of a database whose file lies in `folder`. Raises Misconfigured without one."""
    binary = find_binary(ROOT)
    if binary is None:
        raise Misconfigured("the local database is not installed: run `npm ci`")
    with LocalDatabase(binary, folder) as database:
        names = {"RunsTable": DEFAULTS.runs_table, "IdentityTable": DEFAULTS.identity_table}
        create_tables(ROOT / "template.yaml", names, endpoint=database.endpoint, region=REGION)
        yield database.endpoint
