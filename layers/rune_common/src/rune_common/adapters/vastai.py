"""Vast.ai over HTTP. Every fact about the provider is here, and what varies is a setting (jobs-api.md 6.1)."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rune_common.adapters.vastai_answers import instance_from, integer, offer_from
from rune_common.adapters.vastai_http import NotSent, VastHttp, VastReply
from rune_common.domain.gpu_market import (
    AmbiguousCreate,
    Instance,
    Launch,
    MarketRefused,
    MarketUnavailable,
    Offer,
    OfferGone,
    OfferQuery,
    StaleQuote,
)

SEARCH_LIMIT = 100
PAGE = 25
MAX_PAGES = 200
GONE = (404, 410)

logger = logging.getLogger("rune.vastai")


@dataclass(frozen=True, slots=True)
class VastDialect:
    """Where the provider's own documents disagree: `RUNE_VASTAI_*` of the same names."""

    search_type: str = "on-demand"
    env_format: str = "object"
    list_api: str = "v1"
    ram_unit: str = "mb"
    image: str = "ollama/ollama"


class VastMarket:
    """One account. Answers are untrusted: what has not the expected form is left out or refused."""

    def __init__(self, http: VastHttp, dialect: VastDialect) -> None:
        self._http, self._dialect = http, dialect

    def search(self, query: OfferQuery) -> Sequence[Offer]:
        reply = self._http.repeated("POST", "/api/v0/bundles/", _search_body(query, self._dialect))
        found = _object(reply).get("offers")
        if not isinstance(found, list):
            raise MarketUnavailable("the provider's answer to a search has no offers")
        return [offer for each in found if (offer := offer_from(each)) is not None]

    def create(self, offer_id: int, launch: Launch) -> str:
        """One call, never repeated: what became of it is unknown whenever there is no clear answer."""
        try:
            reply = self._http.once("PUT", f"/api/v0/asks/{offer_id}/", _create_body(launch, self._dialect))
        except NotSent:
            raise
        except MarketUnavailable as exc:
            raise AmbiguousCreate("the create call was not answered") from exc
        if reply.status == 200:
            contract = integer(_object_or_empty(reply).get("new_contract"))
            if contract is None:
                raise AmbiguousCreate("the answer to a create call names no contract")
            return str(contract)
        if reply.status == 429:
            raise MarketUnavailable("the provider asks for patience")
        if reply.status >= 500:
            raise AmbiguousCreate("the create call failed at the provider")
        error = _object_or_empty(reply).get("error")
        if error == "invalid_price":
            raise StaleQuote
        if reply.status in GONE or error == "no_such_ask":
            raise OfferGone
        logger.warning("the provider refused a create call", extra={"status": reply.status})
        raise MarketRefused("the provider refused a create call")

    def get(self, contract_id: str) -> Instance | None:
        reply = self._http.repeated("GET", f"/api/v0/instances/{_number(contract_id)}/", absent=GONE)
        if reply.status in GONE:
            return None
        document = _object(reply)
        if "instances" not in document:
            raise MarketUnavailable("the provider's answer has no instance")
        found = document["instances"]
        # Some versions answer with a list of one.
        row = found[0] if isinstance(found, list) and found else found
        if not row:
            return None
        instance = instance_from(row)
        if instance is None or instance.contract_id != contract_id:
            raise MarketUnavailable("the provider's answer is about another instance")
        return instance

    def list_owned(self) -> Sequence[Instance]:
        if self._dialect.list_api == "v0":
            return _rows(_object(self._http.repeated("GET", "/api/v0/instances/")))
        found: list[Instance] = []
        token = ""
        for _ in range(MAX_PAGES):
            query = {"limit": str(PAGE)} | ({"after_token": token} if token else {})
            document = _object(self._http.repeated("GET", "/api/v1/instances/", query=query))
            found += _rows(document)
            following = document.get("next_token")
            if not following:
                return found
            if not isinstance(following, str) or following == token:
                raise MarketUnavailable("the provider's list does not end")
            token = following
        raise MarketUnavailable("the provider's list does not end")

    def label(self, contract_id: str, label: str) -> None:
        self._http.repeated("PUT", f"/api/v0/instances/{_number(contract_id)}/", {"label": label})

    def destroy(self, contract_id: str) -> None:
        self._http.repeated("DELETE", f"/api/v0/instances/{_number(contract_id)}/", absent=GONE)


def _search_body(query: OfferQuery, dialect: VastDialect) -> dict[str, Any]:
    memory = query.vram_mb / 1024 if dialect.ram_unit == "gb" else query.vram_mb
    return {
        "verified": {"eq": True},
        "rentable": {"eq": True},
        "rented": {"eq": False},
        "direct_port_count": {"gte": 1},
        "reliability": {"gte": query.reliability},
        "dph_total": {"gte": query.min_dph, "lte": query.max_dph},
        "gpu_total_ram": {"gte": memory},
        "disk_space": {"gte": query.disk_gb},
        "order": [["dph_total", "asc"]],
        "limit": SEARCH_LIMIT,
        "type": dialect.search_type,
        "allocated_storage": query.disk_gb,
    }


def _create_body(launch: Launch, dialect: VastDialect) -> dict[str, Any]:
    port = f"-p {launch.port}:{launch.port}"
    env: Mapping[str, str] | str = {port: "1", **launch.env}
    if dialect.env_format == "string":
        env = " ".join([port, *(f"-e {name}={value}" for name, value in launch.env.items())])
    what = (
        {"template_hash_id": launch.template_hash}
        if launch.template_hash
        # `args` keeps the image's entry point.
        else {"image": dialect.image, "runtype": "args"}
    )
    return {**what, "label": launch.label, "disk": launch.disk_gb, "env": env, "cancel_unavail": True}


def _rows(document: Mapping[str, Any]) -> list[Instance]:
    found = document.get("instances")
    if not isinstance(found, list):
        raise MarketUnavailable("the provider's list has no instances")
    return [instance for each in found if (instance := instance_from(each)) is not None]


def _object(reply: VastReply) -> Mapping[str, Any]:
    found = _object_or_empty(reply)
    if not found:
        raise MarketUnavailable("the provider's answer is no object")
    return found


def _object_or_empty(reply: VastReply) -> Mapping[str, Any]:
    try:
        found = json.loads(reply.content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _number(contract_id: str) -> str:
    """Contract ids are numbers: nothing else gets into a path."""
    if not (contract_id.isascii() and contract_id.isdigit()):
        raise MarketRefused("not a contract's id")
    return contract_id
