"""The provider's routes: `/api/v0/…`, and the newer list under `/api/v1`."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rune.sandbox.clock import Clock
from rune.sandbox.exchange import SimRequest, SimResponse
from rune.sandbox.vast.account import Account
from rune.sandbox.vast.faults import Quirk
from rune.sandbox.vast.forwarder import PortMap
from rune.sandbox.vast.market import Dialect, Market
from rune.sandbox.vast.offers import Json
from rune.sandbox.vast.refusal import Refused, invalid, no_such_instance, too_frequent
from rune.sandbox.vast.rentals import Instance

PAGE = 25
ACTIONS = {
    ("GET", "bundles"): "search",
    ("POST", "bundles"): "search",
    ("PUT", "asks/#"): "rent",
    ("GET", "instances"): "list",
    ("GET", "instances/#"): "get",
    ("PUT", "instances/#"): "change",
    ("DELETE", "instances/#"): "destroy",
    ("GET", "template"): "templates",
    ("POST", "template"): "add_template",
    ("GET", "users/current/templates"): "own_templates",
    ("GET", "users/current"): "user",
    ("GET", "volumes"): "volumes",
    ("PUT", "volumes"): "rent_volume",
    ("DELETE", "volumes"): "destroy_volume",
    ("POST", "volumes/search"): "search_volumes",
}


class Addressed(Protocol):
    """The part of a request that tells what it is about."""

    @property
    def path(self) -> str: ...
    @property
    def query(self) -> dict[str, list[str]]: ...


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names: version, route with `#` for an id, and the id, which for volumes is in the query."""

    version: str
    route: str
    id: int = 0

    def action(self, method: str) -> str | None:
        """The name of what is asked for; None for what the API does not have."""
        action = ACTIONS.get((method, self.route))
        return action if self.version == "v0" or (self.version, action) == ("v1", "list") else None

    def concerns(self, rental_id: int) -> bool:
        """Whether it is about this instance or volume."""
        return self.route in ("instances/#", "volumes") and self.id == rental_id


def find_target(request: Addressed) -> Target:
    """The target of a path with or without trailing slash; an empty route for a path that names nothing."""
    match request.path.rstrip("/").split("/"):
        case ["", "api", ("v0" | "v1") as version, ("asks" | "instances") as name, number] if _is_id(number):
            return Target(version, f"{name}/#", int(number))
        case ["", "api", ("v0" | "v1") as version, *rest]:
            number = request.query.get("id", [""])[0]
            return Target(version, "/".join(rest), int(number) if _is_id(number) else 0)
    return Target("", "")


class Routes:
    """Answers requests; thread-safe. `min_interval` seconds must lie between two to the same endpoint."""

    def __init__(
        self,
        market: Market,
        account: Account,
        ports: PortMap,
        *,
        clock: Clock,
        api_key: str,
        dialect: Dialect,
        min_interval: float,
    ) -> None:
        self._market = market
        self._account = account
        self._ports = ports
        self._clock = clock
        self._api_key = api_key
        self._dialect = dialect
        self._min_interval = min_interval
        self._lock = threading.Lock()
        self._last: dict[tuple[str, str], float] = {}

    def refused(self, request: SimRequest) -> SimResponse | None:
        """The 401 of a request without the account's key."""
        if request.bearer() == self._api_key:
            return None
        return Refused(401, "auth_error", "Invalid user key").response()

    def answer(
        self,
        request: SimRequest,
        *,
        quirk: Quirk | None = None,
        deaf_seconds: float | None = None,
        stale_seconds: float = 0.0,
    ) -> SimResponse:
        """The answer to a request; the keywords are how a fault bends it."""
        refused = self.refused(request)
        if refused is not None:
            return refused
        target = find_target(request)
        action = target.action(request.method)
        if action is None or (action == "list" and target.version not in self._dialect.list_versions):
            return Refused(404, "not_found", f"no {request.method} {request.path}").response()
        if self._too_soon(request.method, target.route):
            return too_frequent()
        now = self._clock.time()
        try:
            match action:
                case "rent":
                    made = self._account.rent(target.id, _body(request), quirk or Quirk(), now)
                    return SimResponse.json({"success": True, "new_contract": made.id})
                case "destroy":
                    if self._account.destroy(target.id, now, deaf_seconds=deaf_seconds):
                        self._ports.close(target.id, for_good=True)
                    return SimResponse.json({"success": True})
                case "list":
                    return SimResponse.json(self._list(request, target.version, now, now - stale_seconds))
            return SimResponse.json(self._simple(action, request, target.id, now))
        except Refused as refusal:
            return refusal.response()

    def _simple(self, action: str, request: SimRequest, wanted: int, now: float) -> object:
        match action:
            case "search":
                asked = _body(request) if request.method == "POST" else _query_filters(request)
                return {"offers": self._market.search(asked, self._account.rented_offers())}
            case "get":
                return self._get(wanted, now)
            case "change":
                changed = self._account.change(wanted, _body(request), now)
                if changed.stopped:
                    self._ports.close(wanted)
                return {"success": True}
            case "templates" | "own_templates":
                found = self._account.templates()
                if action == "own_templates":
                    return found
                return {"success": True, "templates_found": len(found), "templates": found}
            case "add_template":
                return {"success": True, "template": self._account.add_template(_body(request))}
            case "user":
                balance = self._account.balance(now)
                return {"id": 1, "username": "sandbox", "balance": balance, "credit": balance}
            case "volumes":
                return {"success": True, "volumes": self._account.volumes(now)}
            case "rent_volume":
                return {
                    "success": True,
                    "volume_name": f"V.{self._account.rent_volume(_body(request), now).id}",
                }
            case "destroy_volume":
                self._account.destroy_volume(wanted, now)
                return {"success": True}
        return {"offers": self._market.search_volumes(_body(request))}

    def _get(self, instance_id: int, now: float) -> Json:
        try:
            return {"instances": self._row(self._account.instance(instance_id), now)}
        except Refused:
            if self._dialect.absent_status != 200:
                raise no_such_instance(instance_id) from None
            return {"instances": None}

    def _list(self, request: SimRequest, version: str, now: float, at: float) -> Json:
        """The contracts that were open at that time; v1 in pages, with the token of the next."""
        found = self._account.instances(at)
        if version == "v0":
            return {"instances_found": len(found), "instances": [self._row(each, now) for each in found]}
        after = _token_id(request)
        rest = [each for each in found if each.id > after]
        limit = min(_limit(request), PAGE)
        page = rest[:limit]
        token = _token(page[-1].id) if len(rest) > limit else None
        return {
            "success": True,
            "instances_found": len(found),
            "instances": [self._row(each, now) for each in page],
            "next_token": token,
        }

    def _row(self, instance: Instance, now: float) -> Json:
        if instance.status(now) != "running":
            self._ports.close(instance.id)
            return instance.document(now, None)
        mapped = () if instance.ports_missing or not instance.open_at(now) else instance.launch.ports
        return instance.document(now, self._ports.document(instance.id, mapped))

    def _too_soon(self, method: str, route: str) -> bool:
        with self._lock:
            now = self._clock.time()
            last = self._last.get((method, route))
            if last is not None and now - last < self._min_interval:
                return True
            self._last[method, route] = now
            return False


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _body(request: SimRequest) -> Mapping[str, Any]:
    return _object(request.body or b"{}", "the body")


def _query_filters(request: SimRequest) -> Mapping[str, Any]:
    return _object(request.query.get("q", ["{}"])[0], "q")


def _object(text: str | bytes, name: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as exc:
        raise invalid(f"{name} is no JSON") from exc
    if not isinstance(found, dict):
        raise invalid(f"{name} must be a JSON object")
    return found


def _limit(request: SimRequest) -> int:
    given = request.query.get("limit", [str(PAGE)])[0]
    if not _is_id(given) or int(given) < 1:
        raise invalid("limit is a whole number of 1 or more")
    return int(given)


def _token(last_id: int) -> str:
    return base64.urlsafe_b64encode(f"after:{last_id}".encode()).decode()


def _token_id(request: SimRequest) -> int:
    given = request.query.get("after_token", [""])[0]
    if not given:
        return 0
    try:
        name, _, number = base64.urlsafe_b64decode(given.encode()).decode().partition(":")
    except ValueError as exc:
        raise invalid("after_token is not one of ours") from exc
    if name != "after" or not _is_id(number):
        raise invalid("after_token is not one of ours")
    return int(number)
