"""Ollama and OpenAI-compatible model servers over HTTP (jobs-api.md 5.1, 5.3)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rune_common.domain.addresses import AddressNotAllowed, AddressPolicy, CheckedUrl
from rune_common.domain.errors import RunFailure, Unavailable
from rune_common.domain.ports import ModelAbilities, ModelServer

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 10.0
MAX_BODY_BYTES = 4 * 1024 * 1024
KEEP_ALIVE = "30m"
POLL_SECONDS = 1.0


class HttpModelServers:
    """Opens servers whose address the policy allows; the connection goes to an address that was checked."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy

    def open(self, backend_type: str, backend_url: str) -> ModelServer:
        try:
            checked = self._policy.check_url(backend_url)
        except AddressNotAllowed as exc:
            raise RunFailure("POLICY_DENIED", "backend_url is not allowed by policy") from exc
        return OllamaServer(checked) if backend_type == "ollama" else OpenAiServer(checked)


class _Http:
    """Requests to one checked address: no redirects, no proxies, bounded bodies."""

    def __init__(self, checked: CheckedUrl) -> None:
        self._checked = checked

    def client(self, timeout: float = TOTAL_SECONDS) -> httpx.Client:
        import httpx

        checked = self._checked
        transport = httpx.HTTPTransport(retries=0)
        return httpx.Client(
            base_url=checked.url,
            transport=transport,
            follow_redirects=False,
            trust_env=False,
            timeout=httpx.Timeout(timeout, connect=CONNECT_SECONDS),
        )

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Status and JSON (None when there is none). Raises Unavailable."""
        import httpx

        try:
            with self.client() as client, client.stream(method, path, json=body) as answer:
                content = b""
                for part in answer.iter_bytes():
                    content += part
                    if len(content) > MAX_BODY_BYTES:
                        raise Unavailable("the model server's answer is too large")
                return answer.status_code, _json(content)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise Unavailable("the model server does not answer") from exc


class OllamaServer:
    """The Ollama API (jobs-api.md 5.3). Model names are used without `ollama/` or `ollama_chat/`."""

    def __init__(self, checked: CheckedUrl) -> None:
        self._http = _Http(checked)

    def ready(self) -> bool:
        for path in ("/api/version", "/api/tags"):
            with suppress(Unavailable):
                if self._http.call("GET", path)[0] == 200:
                    return True
        return False

    def installed(self, model: str) -> bool:
        status, body = self._http.call("GET", "/api/tags")
        if status != 200:
            raise Unavailable("the model server does not list its models")
        return tagged(bare_name(model)) in {tagged(name) for name in _names(body)}

    def abilities(self, model: str) -> ModelAbilities:
        status, body = self._http.call("POST", "/api/show", {"model": bare_name(model)})
        if status != 200 or not isinstance(body, dict):
            raise Unavailable("the model server does not describe the model")
        found = body.get("capabilities")
        info = body.get("model_info")
        lengths = (
            value
            for key, value in (info.items() if isinstance(info, dict) else ())
            if key.endswith(".context_length") and isinstance(value, int)
        )
        return ModelAbilities(
            tuple(str(item) for item in found) if isinstance(found, list) else None, next(lengths, None)
        )

    def warm_up(
        self, model: str, *, context_window: int, timeout_seconds: int, stop: Callable[[], bool]
    ) -> bool:
        """Ask for an empty generation, then see the model loaded. `stop` closes the call within a second."""
        until = time.monotonic() + timeout_seconds
        if self._loaded(model, context_window):
            return True
        client = self._http.client(timeout_seconds)
        body = {
            "model": bare_name(model),
            "prompt": "",
            "stream": False,
            "keep_alive": KEEP_ALIVE,
            "options": {"num_ctx": context_window},
        }
        done = threading.Event()

        def load() -> None:
            with suppress(Exception):  # a call that was closed or refused shows in what is loaded
                client.post("/api/generate", json=body)
            done.set()

        threading.Thread(target=load, name="warm-up", daemon=True).start()
        try:
            while not done.wait(POLL_SECONDS):
                if stop() or time.monotonic() >= until:
                    return False
        finally:
            client.close()
        while not self._loaded(model, context_window):
            if stop() or time.monotonic() >= until:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _loaded(self, model: str, context_window: int) -> bool:
        with suppress(Unavailable):
            status, body = self._http.call("GET", "/api/ps")
            for item in body.get("models", []) if status == 200 and isinstance(body, dict) else []:
                if tagged(str(item.get("name", ""))) == tagged(bare_name(model)):
                    return item.get("context_length") in (None, context_window)
        return False


class OpenAiServer:
    """An OpenAI-compatible server: whether it answers is all that is asked of it before the agent."""

    def __init__(self, checked: CheckedUrl) -> None:
        self._http = _Http(checked)

    def ready(self) -> bool:
        try:
            return self._http.call("GET", "/v1/models")[0] in (200, 401, 403, 404)
        except Unavailable:
            return False

    def installed(self, model: str) -> bool:
        return True

    def abilities(self, model: str) -> ModelAbilities:
        return ModelAbilities(None, None)

    def warm_up(
        self, model: str, *, context_window: int, timeout_seconds: int, stop: Callable[[], bool]
    ) -> bool:
        return True


def bare_name(model: str) -> str:
    """The server's own name of a model: exactly one known prefix is stripped (holmes-driver.md 3.1)."""
    for prefix in ("ollama_chat/", "ollama/"):
        if model.startswith(prefix):
            return model.removeprefix(prefix)
    return model


def tagged(name: str) -> str:
    """A name without a tag equals `:latest` when compared."""
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def _names(body: Any) -> list[str]:
    models = body.get("models") if isinstance(body, dict) else None
    return [str(item.get("name", "")) for item in models or [] if isinstance(item, dict)]


def _json(content: bytes) -> Any:
    import json

    try:
        return json.loads(content)
    except ValueError:
        return None
