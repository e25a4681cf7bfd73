"""The local database as a child process, and the template's tables in it."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.integration.conftest import REGION, ROOT, Tables

from rune.local.database import LocalDatabase, find_binary
from rune.local.tables import create_tables, make_tables
from rune_common.adapters.dynamodb import connect
from rune_common.domain.errors import Misconfigured

NAMES = {"RunsTable": "kept-runs", "IdentityTable": "kept-identity"}


def listens(endpoint: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", urlsplit(endpoint).port)) == 0


def closes(endpoint: str) -> bool:
    until = time.monotonic() + 10
    while listens(endpoint) and time.monotonic() < until:
        time.sleep(0.02)
    return not listens(endpoint)


def binary() -> Path:
    found = find_binary(ROOT)
    assert found is not None
    return found


def test_what_was_stored_is_there_after_a_restart_on_another_port(tmp_path):
    folder = tmp_path / "data"
    with LocalDatabase(binary(), folder) as database:
        create_tables(ROOT / "template.yaml", NAMES, endpoint=database.endpoint, region=REGION)
        connect(region=REGION, endpoint=database.endpoint).put("kept-runs", {"pk": "a", "sk": "b", "n": 1})
    assert closes(database.endpoint)
    with LocalDatabase(binary(), folder) as database:
        create_tables(ROOT / "template.yaml", NAMES, endpoint=database.endpoint, region=REGION)
        item = connect(region=REGION, endpoint=database.endpoint).get("kept-runs", {"pk": "a", "sk": "b"})
    assert item == {"pk": "a", "sk": "b", "n": 1}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_database_ends_with_the_process_that_started_it_however_that_ends(tmp_path, how):
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom rune.local.database import LocalDatabase\n"
        "database = LocalDatabase(Path(sys.argv[1]), None)\ndatabase.start()\n"
        "print(database.endpoint, flush=True)\ntime.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(binary())],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    )
    assert parent.stdout is not None
    endpoint = parent.stdout.readline().strip()
    assert listens(endpoint)
    parent.send_signal(how)
    parent.wait()
    parent.stdout.close()
    assert closes(endpoint)


def test_the_streams_old_records_are_dropped_at_a_start_and_the_rest_is_found_by_an_index(tmp_path):
    def file():
        return closing(sqlite3.connect(tmp_path / "tables.db"))

    with LocalDatabase(binary(), tmp_path) as database:
        create_tables(ROOT / "template.yaml", NAMES, endpoint=database.endpoint, region=REGION)
        client = connect(region=REGION, endpoint=database.endpoint)
        for number in range(5):
            client.put("kept-runs", {"pk": "a", "sk": str(number)})
    with file() as stored:
        stored.execute(
            "UPDATE _stream_records SET created_at = created_at - 90000 WHERE sequence_number < '4'"
        )
        stored.execute("UPDATE _stream_records SET created_at = 0 WHERE sequence_number = '5'")
        stored.commit()
    with LocalDatabase(binary(), tmp_path), file() as stored:
        kept = stored.execute("SELECT sequence_number FROM _stream_records ORDER BY id").fetchall()
        newest = (
            "SELECT MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE table_name = 'kept-runs'"
        )
        plan = stored.execute(f"EXPLAIN QUERY PLAN {newest}").fetchall()
    assert kept == [("4",), ("5",)]
    assert "rune_stream_order" in str(plan)


def test_a_binary_that_ends_at_once_is_a_misconfiguration(tmp_path):
    with pytest.raises(Misconfigured):
        LocalDatabase(Path("/bin/false"), tmp_path).start()


def test_no_binary_is_found_where_none_was_installed(tmp_path):
    assert find_binary(tmp_path) is None


def test_the_templates_tables_have_their_indexes_stream_and_time_to_live(tables: Tables, admin):
    runs = admin.describe_table(TableName=tables.runs)["Table"]
    assert {each["IndexName"] for each in runs["GlobalSecondaryIndexes"]} == {
        "by_tenant",
        "by_kind_state",
        "by_due",
    }
    assert {each["Projection"]["ProjectionType"] for each in runs["GlobalSecondaryIndexes"]} == {"KEYS_ONLY"}
    assert runs["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    for name in (tables.runs, tables.identity):
        found = admin.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        assert found["AttributeName"] == "ttl"
        assert found["TimeToLiveStatus"] in ("ENABLED", "ENABLING")


def test_a_logical_id_that_the_template_lacks_is_an_error(definitions, admin):
    with pytest.raises(KeyError):
        make_tables(definitions, {"NoSuchTable": "name"}, admin)
