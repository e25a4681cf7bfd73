"""Snapshots of what model servers have, in the runs table: one item per server, renewed by the schedule."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_client import ConditionFailed, TableClient
from rune_common.domain.model_servers import ModelServers
from rune_common.domain.models_offered import BackendModels, ServedModel
from rune_common.domain.ports import Clock
from rune_common.usecases.look_at_backend import look_at_backend

KEPT_SECONDS = 7 * 86_400
"""A server that a catalog was asked for stays in the schedule for so long, then until it is asked for again."""

PAGE = 100
_NOTE = "SET backend_url = :url, models = :models, taken_at = :now, #ttl = :ttl"
_RENEW = "SET models = :models, taken_at = :now"


class DynamoBackendModels:
    """The first to ask about a server looks itself and leaves the snapshot; from then on it is only read."""

    def __init__(self, table: str, client: TableClient, servers: ModelServers, clock: Clock) -> None:
        self._table = table
        self._client = client
        self._servers = servers
        self._clock = clock

    def of(self, backend_url: str) -> BackendModels:
        item = self._client.get(self._table, keys.snapshot_key(backend_url))
        now = self._clock()
        if item is not None and item["ttl"] * 1000 > now:
            return _read(item["models"])
        found = look_at_backend(backend_url, servers=self._servers)
        values = {
            ":url": backend_url,
            ":models": _text(found),
            ":now": now,
            ":ttl": now // 1000 + KEPT_SECONDS,
        }
        self._client.update(self._table, keys.snapshot_key(backend_url), _NOTE, values, names={"#ttl": "ttl"})
        return found

    def watched(self) -> Iterator[str]:
        """The servers that have a snapshot."""
        values = {":of": keys.SNAPSHOTS_PARTITION, ":low": keys.LOWEST_ID, ":high": keys.HIGHEST_ID}
        for item in self._client.query(self._table, keys.SNAPSHOTS, values, page=PAGE):
            yield str(item["backend_url"])

    def renew(self, backend_url: str) -> None:
        """Look again. A snapshot that has expired meanwhile is not made anew."""
        values = {
            ":models": _text(look_at_backend(backend_url, servers=self._servers)),
            ":now": self._clock(),
        }
        try:
            self._client.update(
                self._table, keys.snapshot_key(backend_url), _RENEW, values, condition=keys.PRESENT
            )
        except ConditionFailed:
            return


def _text(found: BackendModels) -> str:
    return json.dumps(asdict(found), separators=(",", ":"))


def _read(text: str) -> BackendModels:
    found = json.loads(text)
    return BackendModels(
        found["answered"],
        tuple(
            ServedModel(
                each["name"],
                None if each["capabilities"] is None else tuple(each["capabilities"]),
                each["context_window"],
            )
            for each in found["models"]
        ),
    )
