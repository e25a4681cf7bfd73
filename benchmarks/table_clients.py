"""Which client should speak to the tables: boto3 or pydynox? (docs/adr/0002-table-client.md)

Both do the same work over the wire against a local database in memory, so that no disk is measured, each in a
process of its own. Each has two turns, in mirrored order, of which the better counts. CPU is the client
process's user and system time; the database's is not in it. Ratios are pydynox to boto3.
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import product

from benchmarks.outcome import run_benchmark
from benchmarks.tables import REGION
from rune.local.database import LocalDatabase, find_binary
from rune.local.functions import ROOT
from rune.local.tables import make_tables, table_admin, table_definitions
from rune_common.domain.errors import Misconfigured

NAME = "table_clients"
AIMS = {
    "ratio_load_cpu": "<= 0.5",
    "ratio_get_cpu": "<= 0.5",
    "ratio_transact_4_cpu": "<= 0.5",
    "ratio_transact_4_concurrent_wall": "<= 1",
}
TABLE = "bench-runs"
CLIENTS = ("boto3", "pydynox")
ROUNDS, QUICK_ROUNDS = 400, 20
CHILD_SECONDS = 300.0

Turn = dict[str, dict[str, float]]
"""Operation to `cpu_ms` and `wall_ms` of one call."""


def measure(quick: bool) -> dict[str, float]:
    """Milliseconds of a call by client, operation and kind, and the ratios."""
    binary = find_binary(ROOT)
    if binary is None:
        raise Misconfigured("the local database is not installed: run `npm ci`")
    turns: dict[str, list[Turn]] = {client: [] for client in CLIENTS}
    with LocalDatabase(binary, None) as database:
        # Without its stream: the database's own work must not grow from turn to turn.
        table = table_definitions(ROOT / "template.yaml")["RunsTable"] | {"StreamSpecification": None}
        make_tables({"RunsTable": table}, {"RunsTable": TABLE}, table_admin(database.endpoint, REGION))
        for client in (*CLIENTS, *reversed(CLIENTS)):
            turns[client].append(_turn(client, database.endpoint, QUICK_ROUNDS if quick else ROUNDS))
    found: dict[str, float] = {}
    for operation, kind in product(turns[CLIENTS[0]][0], ("cpu", "wall")):
        for client in CLIENTS:
            best = min(turn[operation][f"{kind}_ms"] for turn in turns[client])
            found[f"{client}_{operation}_{kind}_ms"] = best
        boto3, pydynox = (found[f"{client}_{operation}_{kind}_ms"] for client in CLIENTS)
        found[f"ratio_{operation}_{kind}"] = pydynox / boto3
    return found


def _turn(client: str, endpoint: str, rounds: int) -> Turn:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.table_clients_child", client, endpoint, TABLE, str(rounds)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        timeout=CHILD_SECONDS,
    )
    found: Turn = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    raise SystemExit(run_benchmark(NAME, AIMS, measure))
