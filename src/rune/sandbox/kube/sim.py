"""The Kubernetes API simulator: enough of an API server for kubectl 1.30 to 1.33 (holmes-driver.md 6.2)."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import yaml

from rune.sandbox.clock import Clock
from rune.sandbox.exchange import SimRequest, SimResponse
from rune.sandbox.faults import Fault
from rune.sandbox.kube import reads
from rune.sandbox.kube.access import (
    PUBLIC_PATHS,
    access_review,
    allows,
    forbidden,
    identify,
    rules_review,
    tokens_of,
)
from rune.sandbox.kube.certificates import make_identity
from rune.sandbox.kube.cluster import Cluster
from rune.sandbox.kube.cluster_file import load_cluster
from rune.sandbox.kube.refusal import Refused, no_such_path
from rune.sandbox.kube.resources import Catalog, version_document
from rune.sandbox.kube.shapes import TokenSpec
from rune.sandbox.kube.target import Target, find_target, verb_of
from rune.sandbox.kube.wire import Unreadable, read_review
from rune.sandbox.kube.writes import is_dry_run, read_only, scale_object, write
from rune.sandbox.simulator import Simulator

SLOW_DISCOVERY_SECONDS = 20.0
READS = ("get", "list", "watch")


class KubeSim(Simulator):
    """A cluster from a built-in scenario's name, a cluster file's path or its content as a mapping.

    With `tls` a client needs a token and trusts the CA in `kubeconfig()`; without, none is asked for, but one
    that is sent must be known. `writable` (or `writable: true` in the file) lets tokens delete pods,
    scale, restart and cordon. `changes` count from `start()`, and again from `reset()`, by the clock.
    Raises ValueError naming the field for a cluster file that is wrong.
    """

    name: ClassVar[str] = "kube"
    fault_kinds: ClassVar[frozenset[str]] = frozenset({"expired_token", "slow_discovery"})

    def __init__(
        self,
        scenario_or_cluster: str | dict[str, Any] | Path = "mixed",
        *,
        port: int = 0,
        tls: bool = True,
        clock: Clock | None = None,
        writable: bool = False,
    ) -> None:
        self.cluster_spec = load_cluster(scenario_or_cluster)
        identity = make_identity() if tls else None
        super().__init__(port=port, clock=clock, tls=identity.context if identity else None)
        self.ca_pem = identity.ca_pem if identity else None
        self.writable = writable or self.cluster_spec.writable
        self.tokens = tokens_of(self.cluster_spec, writable=self.writable)
        self.writes: list[dict[str, str]] = []
        """Writes carried out since the last reset, oldest first: verb, resource, namespace, name, user."""
        self._catalog = Catalog(metrics=self.cluster_spec.metrics)
        self._cluster = Cluster(self.cluster_spec, self.clock.time())

    # What a client needs.

    def kubeconfig(self, token: str | None = None) -> str:
        """A kubeconfig with the CA embedded, once the simulator runs.

        `token` is a token's text or its user's name; without it the cluster's first token is taken.
        """
        if not self.port:
            raise RuntimeError("the simulator has no port before it is started")
        name = self.cluster_spec.name
        cluster: dict[str, str] = {"server": self.url}
        if self.ca_pem is not None:
            cluster["certificate-authority-data"] = base64.b64encode(self.ca_pem).decode()
        bearer = next((each.token for each in self.tokens if token in (None, each.user)), token)
        user = {"token": bearer} if self.ca_pem is not None or token else {}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": "sandbox", "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": "sandbox"}}],
            "current-context": name,
        }
        return yaml.safe_dump(document, sort_keys=False)

    def write_kubeconfig(self, path: str | Path, token: str | None = None) -> Path:
        """Write `kubeconfig(token)` to a file only its owner may read (0600), replacing what was there."""
        target = Path(path)
        text = self.kubeconfig(token)
        target.unlink(missing_ok=True)
        with open(
            os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(text)
        return target

    # What the shared core asks for.

    def start(self) -> None:
        self.on_reset()
        super().start()

    def on_reset(self) -> None:
        self.writes.clear()
        self._cluster = Cluster(self.cluster_spec, self.clock.time())

    def state(self) -> dict[str, object]:
        return {
            **self._cluster.describe(self.clock.time()),
            "version": self.cluster_spec.version,
            "writable": self.writable,
            "writes": list(self.writes),
        }

    def apply_fault(
        self, fault: Fault, request: SimRequest, proceed: Callable[[], SimResponse]
    ) -> SimResponse:
        match fault.kind:
            case "expired_token":
                return Refused(401, "Unauthorized").response()
            case "slow_discovery":
                if self._catalog.discovery(request.path) is not None:
                    self.pause(float(fault.options.get("seconds", SLOW_DISCOVERY_SECONDS)), request)
                return proceed()
        return super().apply_fault(fault, request, proceed)

    def handle(self, request: SimRequest) -> SimResponse:
        try:
            return self._answer_api(request)
        except Refused as refused:
            return refused.response()

    # The API.

    def _answer_api(self, request: SimRequest) -> SimResponse:
        path = request.path.rstrip("/")
        if request.method == "GET" and path in PUBLIC_PATHS:
            if path == "/version":
                return SimResponse.json(version_document(self.cluster_spec.version))
            return SimResponse.text("ok")
        caller = identify(self.tokens, request.bearer(), anonymous=self.ca_pem is None)
        if request.method == "GET" and not path:
            return SimResponse.json({"paths": ["/api", "/api/v1", "/apis", *PUBLIC_PATHS]})
        document = self._catalog.discovery(path)
        if document is not None:
            if request.method != "GET":
                raise Refused(405, "the server does not allow this method on the requested resource", {})
            return SimResponse.json(document)
        return self._answer_resource(request, find_target(path, self._catalog), caller)

    def _answer_resource(self, request: SimRequest, target: Target, caller: TokenSpec | None) -> SimResponse:
        verb = verb_of(request, target)
        if target.resource.group == "authorization.k8s.io":
            return self._review(request, target, verb, caller)
        asked = target.asked(verb)
        if caller is not None and not allows(caller, asked):
            raise forbidden(caller, asked)
        now = self.clock.time()
        if verb in READS:
            return self._read(request, target, verb, now)
        if not self.writable:
            raise read_only(target)
        response = write(verb, request, target, self._cluster, now)
        if is_dry_run(request):
            return response
        self.writes.append(
            {
                "verb": verb,
                "resource": asked.full_resource,
                "namespace": target.namespace,
                "name": target.name,
                "user": caller.user if caller else "anonymous",
            }
        )
        return response

    def _read(self, request: SimRequest, target: Target, verb: str, now: float) -> SimResponse:
        if verb == "watch":
            # A reset replaces the cluster, and a watch that is open then must follow.
            return reads.watch_objects(
                request, target, lambda: self._cluster.snapshot(self.clock.time()), self.clock
            )
        snapshot = self._cluster.snapshot(now)
        match verb, target.subresource:
            case "list", _:
                return reads.list_objects(request, target, snapshot, now)
            case "get", "log":
                return reads.pod_log(request, target, snapshot, now)
            case "get", "scale":
                return SimResponse.json(scale_object(target, self._cluster, now))
            case "get", "" | "status":
                return reads.get_object(request, target, snapshot, now)
        raise no_such_path()

    def _review(
        self, request: SimRequest, target: Target, verb: str, caller: TokenSpec | None
    ) -> SimResponse:
        if verb != "create":
            raise Refused(405, "the server does not allow this method on the requested resource", {})
        try:
            spec = read_review(request.body)
        except Unreadable as exc:
            raise Refused(400, str(exc)) from exc
        if target.resource.kind == "SelfSubjectAccessReview":
            return SimResponse.json(access_review(spec, caller), 201)
        return SimResponse.json(rules_review(spec, caller, self._catalog), 201)
