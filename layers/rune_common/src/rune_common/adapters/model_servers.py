"""Ollama and OpenAI-compatible model servers over HTTP (jobs-api.md 5.1, 5.3)."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rune_common.domain.addresses import (
    AddressNotAllowed,
    AddressPolicy,
    AddressUnresolved,
    CheckedUrl,
    Resolve,
)
from rune_common.domain.errors import BackendNotAllowed, Unavailable
from rune_common.domain.model_catalog import bare_name
from rune_common.domain.model_pulls import PullProgress, PullRefused
from rune_common.domain.model_servers import ListedModels, ModelAbilities, ModelServer

if TYPE_CHECKING:
    from rune_common.adapters.checked_http import CheckedHttp

TOTAL_SECONDS = 10.0
MAX_BODY_BYTES = 4 * 1024 * 1024
LIST_ATTEMPTS = 2
LIST_PAUSE_SECONDS = (0.1, 0.4)
KEEP_ALIVE = "30m"
PULL_SECONDS = 4 * 3600.0
"""No job lasts longer; its own deadline ends a pull before."""

POLL_SECONDS = 1.0


class HttpModelServers:
    """Opens servers whose address the policy allows; the connection goes to an address that was checked."""

    def __init__(self, policy: AddressPolicy, resolve: Resolve | None = None) -> None:
        self._policy = policy
        self._resolve = resolve

    def open(self, backend_type: str, backend_url: str) -> ModelServer:
        """Raises BackendNotAllowed, and Unavailable for a name without an address."""
        try:
            checked = self._policy.check_url(backend_url, self._resolve)
        except AddressNotAllowed as exc:
            raise BackendNotAllowed from exc
        except AddressUnresolved as exc:
            raise Unavailable("the model server's name has no address") from exc
        return OllamaServer(checked) if backend_type == "ollama" else OpenAiServer(checked)


class _Http:
    """Opens exchanges with one checked address. httpx is loaded with the first of them, not before."""

    def __init__(self, checked: CheckedUrl) -> None:
        self._checked = checked

    def open(self, seconds: float = TOTAL_SECONDS) -> CheckedHttp:
        from rune_common.adapters.checked_http import CheckedHttp

        return CheckedHttp(self._checked, seconds=seconds, max_bytes=MAX_BODY_BYTES)

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Status and JSON (None when there is none). Raises Unavailable."""
        with self.open() as exchange:
            return exchange.call(method, path, body)

    def list(self, *paths: str) -> list[tuple[int, Any]]:
        """What each path answers, within 10 s together; tried a second time when nothing answers.

        Asking for a list changes nothing, so a repeat is harmless. Raises Unavailable.
        """
        until = time.monotonic() + TOTAL_SECONDS
        for attempt in range(LIST_ATTEMPTS):
            try:
                with self.open(until - time.monotonic()) as exchange:
                    return [exchange.call("GET", path) for path in paths]
            except Unavailable:
                pause = random.uniform(*LIST_PAUSE_SECONDS)
                if attempt == LIST_ATTEMPTS - 1 or time.monotonic() + pause >= until:
                    raise
                time.sleep(pause)
        raise AssertionError("the last attempt either answers or raises")


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
        return tagged(bare_name(model)) in {tagged(str(item.get("name", ""))) for item in _models(body)}

    def list_models(self) -> ListedModels:
        """A server that cannot tell what is running shows nothing as running. Raises Unavailable."""
        tags, running = self._http.list("/api/tags", "/api/ps")
        installed = listed_names(tags, "models", "name")
        return ListedModels(installed, listed_names(running, "models", "name") if running[0] == 200 else ())

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

    def pull(self, model: str, *, progress: Callable[[PullProgress], None], stop: Callable[[], bool]) -> bool:
        """Raises PullRefused, and Unavailable when nothing was received for 120 s or the call was cut."""
        from rune_common.adapters.ollama_pull import pull

        return pull(self._http.open(PULL_SECONDS), bare_name(model), progress=progress, stop=stop)

    def warm_up(
        self, model: str, *, context_window: int, timeout_seconds: int, stop: Callable[[], bool]
    ) -> bool:
        """Ask for an empty generation, then see the model loaded. `stop` closes the call within a second."""
        until = time.monotonic() + timeout_seconds
        if self._loaded(model, context_window):
            return True
        exchange = self._http.open(timeout_seconds)
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
                exchange.call("POST", "/api/generate", body)
            done.set()

        threading.Thread(target=load, name="warm-up", daemon=True).start()
        try:
            while not done.wait(POLL_SECONDS):
                if stop() or time.monotonic() >= until:
                    return False
        finally:
            exchange.close()
        while not self._loaded(model, context_window):
            if stop() or time.monotonic() >= until:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _loaded(self, model: str, context_window: int) -> bool:
        with suppress(Unavailable):
            status, body = self._http.call("GET", "/api/ps")
            for item in _models(body) if status == 200 else ():
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

    def list_models(self) -> ListedModels:
        """Raises Unavailable."""
        (found,) = self._http.list("/v1/models")
        return ListedModels(listed_names(found, "data", "id"), ())

    def abilities(self, model: str) -> ModelAbilities:
        return ModelAbilities(None, None)

    def pull(self, model: str, *, progress: Callable[[PullProgress], None], stop: Callable[[], bool]) -> bool:
        raise PullRefused("such a server pulls no models")

    def warm_up(
        self, model: str, *, context_window: int, timeout_seconds: int, stop: Callable[[], bool]
    ) -> bool:
        return True


def tagged(name: str) -> str:
    """A name without a tag equals `:latest` when compared."""
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def _models(body: Any) -> list[dict[str, Any]]:
    found = body.get("models") if isinstance(body, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def listed_names(answer: tuple[int, Any], members: str, name: str) -> tuple[str, ...]:
    """The names in a server's list, sorted, each once; none that cannot be shown.

    Raises Unavailable for an answer that is no such list.
    """
    status, body = answer
    found = body.get(members) if status == 200 and isinstance(body, dict) else None
    if not isinstance(found, list):
        raise Unavailable("the model server does not list its models")
    names = {item.get(name) for item in found if isinstance(item, dict) and isinstance(item.get(name), str)}
    return tuple(sorted(each for each in names if each and each.isprintable()))
