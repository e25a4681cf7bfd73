"""Requests and results beside a run: small ones in the table, large ones as blobs, secrets always sealed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_client import Item, TableClient
from rune_common.domain.ports import BlobStore, RunRequest, Sealer

INLINE_BYTES = 32 * 1024
"""A document above this lies in the blob store (jobs-api.md 4.8, runs-api.md 13)."""


class RunDocuments:
    """Reads documents, and makes the items that a transaction is to write.

    Secrets are never put into a blob: at most a kubeconfig of 256 KiB, they fit an item, and so the
    transaction that ends a run is what deletes them.
    """

    def __init__(self, table: str, client: TableClient, sealer: Sealer, blobs: BlobStore) -> None:
        self._table = table
        self._client = client
        self._sealer = sealer
        self._blobs = blobs

    def request_item(self, tenant: str, run_id: str, request: RunRequest) -> Item:
        """Stores the blob, if one is needed, before it returns the item that refers to it."""
        item = {**keys.request_key(tenant, run_id), **self._content(tenant, run_id, request.document)}
        if request.secrets:
            plain = json.dumps(dict(request.secrets)).encode()
            item["sealed"] = self._sealer.seal(plain, _context(tenant, run_id))
        return item

    def result_item(self, tenant: str, run_id: str, result: Mapping[str, Any]) -> Item:
        """Stores the blob, if one is needed, before it returns the item that refers to it."""
        return {**keys.result_key(tenant, run_id), **self._content(tenant, run_id, result)}

    def discard(self, item: Item) -> None:
        """Remove the blob of an item that is not, or no longer, in the table."""
        if "blob" in item:
            self._blobs.delete(item["blob"])

    def request(self, tenant: str, run_id: str) -> RunRequest | None:
        item = self.stored_request(tenant, run_id)
        if item is None:
            return None
        secrets: dict[str, str] = {}
        if "sealed" in item:
            secrets = json.loads(self._sealer.open(bytes(item["sealed"]), _context(tenant, run_id)))
        return RunRequest(self._document(item), secrets)

    def request_document(self, tenant: str, run_id: str) -> Mapping[str, Any] | None:
        """The request without its secrets: nothing is opened."""
        item = self.stored_request(tenant, run_id)
        return None if item is None else self._document(item)

    def stored_request(self, tenant: str, run_id: str) -> Item | None:
        return self._client.get(self._table, keys.request_key(tenant, run_id))

    def result(self, tenant: str, run_id: str) -> Mapping[str, Any] | None:
        item = self._client.get(self._table, keys.result_key(tenant, run_id))
        return None if item is None else self._document(item)

    def results(self, tenant: str, run_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        places = [keys.result_key(tenant, run_id) for run_id in dict.fromkeys(run_ids)]
        found = self._client.get_many(self._table, places, consistent=True)
        return {keys.run_of_partition(item["pk"])[1]: self._document(item) for item in found}

    def _content(self, tenant: str, run_id: str, document: Mapping[str, Any]) -> Item:
        # Escaped to ASCII: a text from an agent may hold half of a surrogate pair, which UTF-8 cannot.
        text = json.dumps(document, separators=(",", ":"))
        if len(text) <= INLINE_BYTES:
            return {"document": text}
        # Named by its content: of two writers that race, the loser must not change what the winner stored.
        blob = f"runs/{tenant}/{run_id}/{hashlib.sha256(text.encode()).hexdigest()}"
        self._blobs.put(blob, text.encode())
        return {"blob": blob}

    def _document(self, item: Item) -> Mapping[str, Any]:
        text = self._blobs.get(item["blob"]) if "blob" in item else item["document"]
        found: dict[str, Any] = json.loads(text)
        return found


def _context(tenant: str, run_id: str) -> str:
    return f"{tenant}/{run_id}"
