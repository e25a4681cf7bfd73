"""The local stack around one API server: data folder, database, tables, worker (design.md 8)."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rune.local.data_dir import DataDir
from rune.local.database import LocalDatabase, find_binary
from rune.local.functions import ROOT
from rune.local.machine import machine_settings
from rune.local.tables import create_tables
from rune_common.domain.errors import Misconfigured
from rune_common.settings import Settings

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
STOP_SECONDS = 5.0
RESTART_SECONDS = 0.5
LONGEST_RESTART_SECONDS = 10.0

logger = logging.getLogger("rune.local.server")


def local_settings(environ: Mapping[str, str], host: str) -> Settings:
    """The settings of a server on this machine. Raises Misconfigured for what may not be."""
    loopback = host in LOOPBACK_HOSTS
    settings = machine_settings(environ, loopback=loopback)
    if settings.auth_disabled and not loopback:
        raise Misconfigured("RUNE_API_AUTH_DISABLED is only for a server on a loopback address")
    if not settings.auth_disabled and not settings.api_tokens:
        raise Misconfigured("set RUNE_API_TOKENS, or RUNE_API_AUTH_DISABLED=1 on a loopback address")
    return settings


@contextmanager
def local_stack(settings: Settings, environ: Mapping[str, str]) -> Iterator[Settings]:
    """Everything but the API itself. Yields the settings with what was found out: endpoint and names."""
    data = DataDir(Path(settings.data_dir).absolute())
    with data.lock():
        found = replace(
            settings,
            data_dir=str(data.path),
            work_dir=str(data.path / "work"),
            deployment_id=settings.deployment_id or data.deployment_id(),
        )
        with _database(found, data) as endpoint:
            found = replace(found, dynamodb_endpoint=endpoint)
            names = {"RunsTable": found.runs_table, "IdentityTable": found.identity_table}
            create_tables(ROOT / "template.yaml", names, endpoint=endpoint, region=found.region)
            worker = Worker(worker_environment(found, environ))
            worker.start()
            try:
                yield found
            finally:
                worker.stop()


def worker_environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """The settings as variables. Of what is secret the worker gets only the provider's key, which it takes out
    of its environment before it starts anything.
    """
    key = {"VAST_API_KEY": settings.vast_api_key} if settings.vast_api_key else {}
    return settings.environment() | {"HOME": environ.get("HOME", "/")} | key


@contextmanager
def _database(settings: Settings, data: DataDir) -> Iterator[str]:
    if settings.dynamodb_endpoint:
        yield settings.dynamodb_endpoint
        return
    binary = find_binary(ROOT)
    if binary is None:
        from rune.local.moto_database import MotoDatabase

        logger.warning("the local database is not installed: runs are kept in memory only")
        with MotoDatabase() as memory:
            yield memory.endpoint
        return
    with LocalDatabase(binary, data.path) as database:
        yield database.endpoint


class Worker:
    """The worker process: started again whenever it ends, until stopped. It ends when this process does."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="worker", daemon=True)

    def start(self) -> None:
        self._process = self._launch()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        process = self._process
        if process is not None:
            process.terminate()
        self._thread.join()

    def _launch(self) -> subprocess.Popen[bytes]:
        # The worker reads its standard input to the end: it closes when this process is gone.
        command = [sys.executable, "-m", "rune.local.worker"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, env=self._environment)

    def _keep(self) -> None:
        pause = RESTART_SECONDS
        while self._process is not None:
            status = self._wait(self._process)
            if self._process.stdin:
                self._process.stdin.close()
            if self._stopping.is_set():
                return
            logger.error("the worker ended with status %s and is started again", status)
            if self._stopping.wait(pause):
                return
            pause = min(pause * 2, LONGEST_RESTART_SECONDS)
            self._process = self._launch()

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        while True:
            try:
                return process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                if self._stopping.is_set():
                    process.kill()
