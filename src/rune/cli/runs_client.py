"""The Runtime Runs API as the command line uses it (runs-api.md 2, 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from rune.cli.client import JobsClient

RUNS = "/api/v1/runs"
PAGE = 500
LONGEST_WAIT = 10
ENDED = frozenset({"completed", "failed", "cancelled"})


class RunsClient:
    """Runs of one server. Every call raises CliFailure, and tries again as its client does."""

    def __init__(self, client: JobsClient) -> None:
        self._client = client

    def create(self, document: Mapping[str, Any]) -> dict[str, Any]:
        return self._client.call("POST", RUNS, body=document)

    def page(self, **filters: str | int | None) -> dict[str, Any]:
        return self._client.call("GET", RUNS, query=filters)

    def status(self, run_id: str) -> dict[str, Any]:
        return self._client.call("GET", _place(run_id))

    def cancel(self, run_id: str, document: Mapping[str, Any]) -> dict[str, Any]:
        return self._client.call("POST", f"{_place(run_id)}/cancel", body=document)

    def approvals(self, run_id: str, status: str | None) -> list[dict[str, Any]]:
        found = self._client.call("GET", f"{_place(run_id)}/approvals", query={"status": status})
        approvals: list[dict[str, Any]] = found["approvals"]
        return approvals

    def decide(self, run_id: str, document: Mapping[str, Any]) -> dict[str, Any]:
        return self._client.call("POST", f"{_place(run_id)}/approvals", body=document)

    def terminal(self, run_id: str) -> str:
        """The address of the run's terminal, with a ticket that opens it for ten minutes."""
        place = self.status(run_id)["links"]["terminal"]
        ticket = self._client.call("POST", f"{_place(run_id)}/stream-tickets", body={"purpose": "terminal"})
        return f"{place}{'&' if '?' in place else '?'}ticket={quote(ticket['ticket'], safe='')}"

    def events(
        self, run_id: str, *, after: int = 0, limit: int | None = None, types: str | None = None
    ) -> list[dict[str, Any]]:
        """The events after a sequence, at most `limit`: every page of them."""
        found: list[dict[str, Any]] = []
        query: dict[str, str | int | None] = {"after_sequence": after, "types": types}
        while limit is None or len(found) < limit:
            query["limit"] = PAGE if limit is None else min(PAGE, limit - len(found))
            page = self._page(run_id, query)
            found += page["events"]
            if not page["has_more"]:
                break
            query = {"after_event_id": page["next_after_event_id"], "types": types}
        return found

    def followed(self, run_id: str, sleep: Callable[[float], None], pause: float) -> Iterator[dict[str, Any]]:
        """Every event once and in order, until the run has ended. Asks only for what it has not seen."""
        query: dict[str, str | int | None] = {"after_sequence": 0}
        while True:
            page = self._page(run_id, {**query, "limit": PAGE, "wait_seconds": LONGEST_WAIT})
            yield from page["events"]
            if page["terminal"] and not page["has_more"]:
                return
            query = {"after_event_id": page["next_after_event_id"]}
            if not page["events"]:
                sleep(pause)

    def _page(self, run_id: str, query: Mapping[str, str | int | None]) -> dict[str, Any]:
        return self._client.call("GET", f"{_place(run_id)}/events/list", query=query)


def _place(run_id: str) -> str:
    return f"{RUNS}/{quote(run_id, safe='')}"
