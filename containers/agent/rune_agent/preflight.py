"""The checks before an investigation, while the child imports (holmes-driver.md 3.3)."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rune_agent import cluster_check, modelmap
from rune_agent.backend_http import Answer, BackendClient, NoAnswer
from rune_agent.params import AskParams
from rune_agent.problems import AgentProblem
from rune_common.domain.driver_protocol import EventName

Json = dict[str, Any]
Emit = Callable[[str, Json], None]
T = TypeVar("T")

CHECK_SECONDS = 5.0
PULL_EVENT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """
    What preflight found. `window`: tokens, 0 to ask the library's table. `listed`: names of a
    `/v1/models` list. `warmup_ms`: time spent on loading the model.
    """

    window: int
    cluster: bool
    listed: tuple[str, ...] = ()
    warmup_ms: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Preflight:
    """`backend` is None for hosted models. `cluster` starts check 6, None when no cluster was named."""

    params: AskParams
    num_ctx: int
    emit: Emit
    backend: BackendClient | None
    cluster: Callable[[], cluster_check.ClusterAccess] | None
    warnings: list[str] = field(default_factory=list)
    warmup_ms: int = 0

    def run(self) -> Readiness:
        """Raises AgentProblem. Backend and cluster are checked side by side."""
        pool = ThreadPoolExecutor(1)
        try:
            cluster = pool.submit(self._cluster)
            window, listed = self._model()
            return Readiness(window, cluster.result(), listed, self.warmup_ms, tuple(self.warnings))
        finally:
            # A failed model is not kept waiting for a cluster that does not answer.
            pool.shutdown(wait=False)

    def _cluster(self) -> bool:
        if self.cluster is None:
            self._warn("no_cluster_access", "no cluster was named")
            return False
        try:
            access = self._check("cluster", self.cluster)
        except AgentProblem as problem:
            if self.params.require_cluster:
                raise
            self._warn("no_cluster_access", problem.text)
            return False
        if access.broad:
            self._warn("cluster_role_broad", "the cluster role may read secrets or delete pods everywhere")
        return True

    def _model(self) -> tuple[int, tuple[str, ...]]:
        if self.backend is None:
            return self.params.context_window or 0, ()
        if self.params.backend_type == "openai":
            return self._check("models", lambda: self._openai(self.backend_client))
        self._check("version", lambda: self._version(self.backend_client))
        self._check("model", lambda: self._present(self.backend_client))
        window = self._check("capabilities", lambda: self._capable(self.backend_client))
        return self._warm(self.backend_client, window), ()

    @property
    def backend_client(self) -> BackendClient:
        assert self.backend is not None
        return self.backend

    # -- Ollama ------------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return modelmap.ollama_name(self.params.model)

    def _version(self, backend: BackendClient) -> None:
        answer = _reach(lambda: backend.get("/api/version", CHECK_SECONDS))
        if answer.status == 404:
            answer = _reach(lambda: backend.get("/api/tags", CHECK_SECONDS))
        _usable(answer)

    def _present(self, backend: BackendClient) -> None:
        answer = _reach(lambda: backend.get("/api/tags", CHECK_SECONDS))
        _usable(answer)
        models = (answer.document or {}).get("models")
        names = [m.get("name") or m.get("model") for m in models] if isinstance(models, list) else []
        if any(isinstance(name, str) and modelmap.same_model(name, self._name) for name in names):
            return
        if not self.params.pull:
            raise AgentProblem("model_not_found", "the model server does not have the model")
        self._pull(backend)

    def _pull(self, backend: BackendClient) -> None:
        said = -PULL_EVENT_SECONDS
        try:
            for line in backend.post_lines("/api/pull", {"model": self._name}, self.params.timeout_seconds):
                if line.get("error"):
                    raise AgentProblem("model_load_failed", "the model could not be pulled")
                if "completed" in line and time.monotonic() - said >= PULL_EVENT_SECONDS:
                    said = time.monotonic()
                    self.emit(
                        EventName.PULL_PROGRESS, {"completed": line["completed"], "total": line.get("total")}
                    )
                if line.get("status") == "success":
                    return
        except NoAnswer as exc:
            raise AgentProblem("model_load_failed", "the pull of the model broke off") from exc
        raise AgentProblem("model_load_failed", "the pull of the model ended early")

    def _capable(self, backend: BackendClient) -> int:
        answer = _reach(lambda: backend.post("/api/show", {"model": self._name}, CHECK_SECONDS))
        if answer.status == 404:
            raise AgentProblem("model_not_found", "the model server does not have the model")
        _usable(answer)
        document = answer.document or {}
        capabilities = document.get("capabilities")
        if not isinstance(capabilities, list):
            self._warn("model_without_tools", "the server does not say whether the model can call tools")
        elif "tools" not in capabilities:
            raise AgentProblem("model_lacks_tools", "the model cannot call tools")
        elif self.params.images and "vision" not in capabilities:
            raise AgentProblem("model_lacks_vision", "the model cannot see images")
        info = document.get("model_info")
        lengths = (
            [v for k, v in info.items() if k.endswith(".context_length")] if isinstance(info, dict) else []
        )
        maximum = lengths[0] if lengths and isinstance(lengths[0], int) else None
        return modelmap.context_window(self.params.context_window, maximum, self.num_ctx)

    def _warm(self, backend: BackendClient, window: int) -> int:
        """Load the model with the very window it will be used with; another value would load it again."""
        if not self.params.backend_warmup or self._loaded(backend) == window:
            return window
        started = time.monotonic()
        self._check("warmup", lambda: self._load(backend, window))
        self.warmup_ms = int((time.monotonic() - started) * 1_000)
        loaded = self._loaded(backend)
        if loaded is None or loaded >= window:
            return window
        self._warn("context_reduced", f"the server loaded the model with {loaded} tokens")
        return modelmap.context_window(loaded, None, loaded)

    def _load(self, backend: BackendClient, window: int) -> None:
        body = {
            "model": self._name,
            "prompt": "",
            "stream": False,
            "keep_alive": modelmap.KEEP_ALIVE,
            "options": {"num_ctx": window},
        }
        try:
            answer = backend.post("/api/generate", body, self.params.backend_warmup_timeout)
        except NoAnswer as exc:
            raise AgentProblem("model_load_failed", "the model did not load in time") from exc
        if answer.status != 200:
            raise AgentProblem("model_load_failed", "the model server could not load the model")

    def _loaded(self, backend: BackendClient) -> int | None:
        """Window that the model is loaded with, None when it is not loaded or the server does not say."""
        try:
            document = backend.get("/api/ps", CHECK_SECONDS).document or {}
        except NoAnswer:
            return None
        models = document.get("models")
        for entry in models if isinstance(models, list) else []:
            length = entry.get("context_length")
            if modelmap.same_model(str(entry.get("name")), self._name) and isinstance(length, int):
                return length
        return None

    # -- OpenAI-compatible -------------------------------------------------------------------------

    def _openai(self, backend: BackendClient) -> tuple[int, tuple[str, ...]]:
        answer = _reach(lambda: backend.get("/models", CHECK_SECONDS))
        if answer.status != 404:
            _usable(answer)
        data = (answer.document or {}).get("data")
        entries = {str(e.get("id")): e for e in data if isinstance(e, dict)} if isinstance(data, list) else {}
        entry = entries.get(modelmap.openai_name(self.params.model, entries), {})
        maximum = entry.get("max_model_len")
        asked = self.params.context_window
        if isinstance(maximum, int):
            return modelmap.context_window(asked, maximum, maximum), tuple(entries)
        return (modelmap.context_window(asked, None, asked) if asked else 0), tuple(entries)

    # -- events ------------------------------------------------------------------------------------

    def _check(self, name: str, run: Callable[[], T]) -> T:
        started = time.monotonic()
        try:
            found = run()
        except AgentProblem as problem:
            self.emit(EventName.PREFLIGHT, report(name, False, _ms_since(started), problem.text))
            raise
        self.emit(EventName.PREFLIGHT, report(name, True, _ms_since(started), ""))
        return found

    def _warn(self, code: str, text: str) -> None:
        self.warnings.append(code)
        self.emit(EventName.WARNING, {"code": code, "text": text})


def report(check: str, ok: bool, ms: int, detail: str) -> Json:
    """Data of the event of one check."""
    return {"check": check, "ok": ok, "ms": ms, "detail": detail}


def _ms_since(started: float) -> int:
    return int((time.monotonic() - started) * 1_000)


def _reach(ask: Callable[[], Answer]) -> Answer:
    try:
        return ask()
    except NoAnswer as exc:
        text = "did not answer in time" if exc.timed_out else "cannot be reached"
        raise AgentProblem("backend_unreachable", f"the model server {text}") from exc


def _usable(answer: Answer) -> None:
    if answer.status in (401, 403):
        raise AgentProblem("backend_auth", "the model server refused the credentials")
    if answer.status == 429:
        raise AgentProblem("rate_limited", "the model server limits the rate of requests")
    if answer.status != 200 or answer.document is None:
        raise AgentProblem("backend_error", "the model server did not answer as one")
