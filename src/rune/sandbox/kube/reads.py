"""Get, list, watch and logs."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from rune.sandbox.clock import Clock
from rune.sandbox.exchange import SimRequest, SimResponse
from rune.sandbox.kube.parts import Json
from rune.sandbox.kube.pods import shown_log
from rune.sandbox.kube.refusal import Refused, not_found
from rune.sandbox.kube.snapshot import Snapshot
from rune.sandbox.kube.tables import table
from rune.sandbox.kube.target import Target, moment, number, one, selected

TABLE_TYPE = re.compile(r"application/json;.*\bas=Table\b")
TABLE_VERSION = re.compile(r"\bv=(v1beta1|v1)\b")


def table_version(request: SimRequest) -> str | None:
    """The version of Table to answer with, when Accept prefers one over plain JSON."""
    for entry in request.headers.get("accept", "").split(","):
        media = entry.strip()
        if TABLE_TYPE.match(media):
            found = TABLE_VERSION.search(media)
            return found.group(1) if found else "v1"
        if media.startswith(("application/json", "application/vnd.kubernetes.protobuf", "*/*")):
            return None
    return None


def get_object(request: SimRequest, target: Target, snapshot: Snapshot, now: float) -> SimResponse:
    """One object; 404 when there is none of that name."""
    found = the_object(target, snapshot)
    version = table_version(request)
    if version is None:
        return SimResponse.json(found)
    shown = table(target.resource.key, [found], now, one(request, "includeObject"), version)
    shown["metadata"] = {"resourceVersion": found["metadata"].get("resourceVersion", "")}
    return SimResponse.json(shown)


def the_object(target: Target, snapshot: Snapshot) -> Json:
    found = next((o for o in snapshot.objects[target.resource.key] if target.covers(o)), None)
    if found is None:
        raise not_found(target.resource.plural, target.resource.group, target.name)
    return found


def list_objects(request: SimRequest, target: Target, snapshot: Snapshot, now: float) -> SimResponse:
    """A page of a list, as JSON or Table; `continue` names the last object of the page before."""
    keep = selected(request, target)
    matching = [found for found in snapshot.objects[target.resource.key] if keep(found)]
    after = _continued(one(request, "continue"))
    if after is not None:
        matching = [found for found in matching if _key(found) > after]
    limit = number(request, "limit") or len(matching)
    page, left = matching[:limit], len(matching) - limit
    meta: Json = {"resourceVersion": str(snapshot.version)}
    if left > 0:
        meta |= {"continue": _continue_after(page[-1]), "remainingItemCount": left}
    version = table_version(request)
    if version is not None:
        shown = table(target.resource.key, page, now, one(request, "includeObject"), version)
        return SimResponse.json({**shown, "metadata": meta})
    return SimResponse.json(
        {
            "kind": f"{target.resource.kind}List",
            "apiVersion": target.resource.api_version,
            "metadata": meta,
            "items": [{k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for o in page],
        }
    )


def watch_objects(
    request: SimRequest, target: Target, current: Callable[[], Snapshot], clock: Clock
) -> SimResponse:
    """A stream of changes: first what is newer than `resourceVersion`, then whatever happens.

    `current` gives the snapshot of the moment; the stream compares it with the one before whenever it is new.
    """
    keep = selected(request, target)
    since = one(request, "resourceVersion")
    if since and not since.isdigit():
        raise Refused(400, f'resourceVersion: Invalid value: "{since}"')
    timeout = number(request, "timeoutSeconds")
    until = clock.time() + timeout if timeout else float("inf")
    as_table = table_version(request)

    def line(kind: str, found: Json) -> bytes:
        shown = found
        if as_table is not None:
            include = one(request, "includeObject")
            shown = table(target.resource.key, [found], clock.time(), include, as_table)
            shown["metadata"] = {"resourceVersion": found["metadata"].get("resourceVersion", "")}
        return json.dumps({"type": kind, "object": shown}, separators=(",", ":")).encode() + b"\n"

    def changes() -> Iterator[bytes]:
        snapshot = current()
        known = {_key(o): o for o in snapshot.objects[target.resource.key] if keep(o)}
        yield b"".join(line("ADDED", o) for o in known.values() if _version(o) > int(since or 0))
        while True:

            def stirred(seen: Snapshot = snapshot) -> bool:
                return request.client_gone() or current() is not seen

            ended = clock.sleep(until - clock.time(), stop=stirred)
            if ended or request.client_gone():
                return
            snapshot = current()
            present = {_key(o): o for o in snapshot.objects[target.resource.key] if keep(o)}
            for key, found in known.items():
                if key not in present:
                    yield line("DELETED", found)
            for key, found in present.items():
                if key not in known:
                    yield line("ADDED", found)
                elif _version(found) != _version(known[key]):
                    yield line("MODIFIED", found)
            known = present

    return SimResponse(200, changes(), {"Content-Type": "application/json"})


def pod_log(request: SimRequest, target: Target, snapshot: Snapshot, now: float) -> SimResponse:
    """The log of one container; 400 as the kubelet answers when there is none to show."""
    pod = the_object(target, snapshot)
    logs = snapshot.logs[(target.namespace, target.name)]
    container = one(request, "container")
    if not container:
        if len(logs) > 1:
            raise Refused(
                400,
                f"a container name must be specified for pod {target.name}, "
                f"choose one of: [{' '.join(logs)}]",
            )
        container = pod["spec"]["containers"][0]["name"]
    if container not in logs:
        raise Refused(400, f"container {container} is not valid for pod {target.name}")
    log = logs[container]
    previous = one(request, "previous") == "true"
    if log.refusal is not None and not previous:
        raise Refused(400, f'container "{container}" in pod "{target.name}" {log.refusal}')
    if previous and log.previous is None:
        raise Refused(400, f'previous terminated container "{container}" in pod "{target.name}" not found')
    seconds = number(request, "sinceSeconds")
    since = now - seconds if seconds is not None else moment(request, "sinceTime")
    text = shown_log(
        log,
        previous=previous,
        since=since,
        tail=number(request, "tailLines"),
        stamped=one(request, "timestamps") == "true",
    ).encode()
    return SimResponse(200, text[: number(request, "limitBytes")], {"Content-Type": "text/plain"})


def _key(found: Json) -> tuple[str, str]:
    return found["metadata"].get("namespace", ""), found["metadata"]["name"]


def _version(found: Json) -> int:
    return int(found["metadata"].get("resourceVersion", 0))


def _continue_after(last: Json) -> str:
    return base64.urlsafe_b64encode(json.dumps(_key(last)).encode()).decode().rstrip("=")


def _continued(token: str) -> tuple[str, str] | None:
    if not token:
        return None
    try:
        key: Any = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, name = key
        return str(namespace), str(name)
    except (ValueError, TypeError) as exc:
        raise Refused(400, "continue key is not valid: illegal continue token") from exc
