"""What a request's path and query ask for."""

from __future__ import annotations

from dataclasses import dataclass

from rune.sandbox.exchange import SimRequest
from rune.sandbox.kube.access import Attributes
from rune.sandbox.kube.parts import Json, seconds_of
from rune.sandbox.kube.refusal import Refused, no_such_path
from rune.sandbox.kube.resources import Catalog, Resource
from rune.sandbox.kube.selectors import BadSelector, Predicate, field_selector, label_selector

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Target:
    """A type, or an object or subresource of it; empty strings where the path says nothing."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    def asked(self, verb: str) -> Attributes:
        r = self.resource
        return Attributes(verb, r.group, r.plural, self.subresource, self.namespace, self.name)

    def covers(self, found: Json) -> bool:
        meta = found["metadata"]
        return self.namespace in ("", meta.get("namespace", "")) and self.name in ("", meta["name"])


def find_target(path: str, catalog: Catalog) -> Target:
    """The target of `/api/v1/…` or `/apis/<group>/<version>/…`; 404 for a path that names no type."""
    match path.strip("/").split("/"):
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            raise no_such_path()
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces" and catalog.find(group, version, rest[2]):
        _, namespace, *rest = rest
    if not 1 <= len(rest) <= 3:
        raise no_such_path()
    plural, name, subresource = [*rest, "", ""][:3]
    resource = catalog.find(group, version, plural)
    if resource is None or (namespace and not resource.namespaced):
        raise no_such_path()
    if name and resource.namespaced and not namespace:
        raise no_such_path()
    if subresource and subresource not in [each[0] for each in resource.subresources]:
        raise no_such_path()
    return Target(resource, namespace, name, subresource)


def verb_of(request: SimRequest, target: Target) -> str:
    """The RBAC verb; 405 for a method the API does not have."""
    if request.method == "GET":
        if is_watch(request):
            return "watch"
        return "get" if target.name else "list"
    if request.method not in VERBS:
        raise Refused(405, "the server does not allow this method on the requested resource", {})
    verb = VERBS[request.method]
    return "deletecollection" if verb == "delete" and not target.name else verb


def is_watch(request: SimRequest) -> bool:
    return one(request, "watch") in ("1", "true")


def one(request: SimRequest, name: str) -> str:
    """The first value of a query parameter, or an empty text."""
    return request.query.get(name, [""])[0]


def number(request: SimRequest, name: str) -> int | None:
    """A whole number of zero or more from the query; 400 for anything else that is given."""
    text = one(request, name)
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise Refused(400, f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def moment(request: SimRequest, name: str) -> float | None:
    """An RFC 3339 time from the query in epoch seconds; 400 for one that does not parse."""
    text = one(request, name)
    try:
        return seconds_of(text) if text else None
    except ValueError as exc:
        raise Refused(400, f'parsing time "{text}" as RFC 3339: {exc}') from exc


def selected(request: SimRequest, target: Target) -> Predicate:
    """Whether an object is in the target and passes both selectors; 400 for a selector that is wrong."""
    try:
        labels = label_selector(one(request, "labelSelector"))
        fields = field_selector(one(request, "fieldSelector"), target.resource.key)
    except BadSelector as exc:
        raise Refused(
            400, f"unable to parse selector: {exc}" if "field label" not in str(exc) else str(exc)
        ) from exc
    return lambda found: target.covers(found) and labels(found) and fields(found)
