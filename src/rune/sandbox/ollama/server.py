"""A simulated Ollama server (holmes-driver.md 6.1)."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from rune.sandbox.clock import Clock
from rune.sandbox.exchange import SimRequest, SimResponse
from rune.sandbox.ollama import compatible, native
from rune.sandbox.ollama.brain import Thought, think
from rune.sandbox.ollama.conversation import Chat, Message, parse_chat
from rune.sandbox.ollama.models import (
    DEFAULT_NUM_CTX,
    LoadCount,
    Model,
    ModelNotFound,
    ModelStore,
    timestamp,
)
from rune.sandbox.ollama.scenarios import load_scenarios
from rune.sandbox.simulator import Simulator

VERSION = "0.12.6"
NDJSON = {"Content-Type": "application/x-ndjson"}
SSE = {"Content-Type": "text/event-stream"}


class Refused(Exception):
    """An answer other than 200: `status` and the server's error text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class OllamaSim(Simulator):
    """Answers as an Ollama server; its model follows scripts or investigates by rules.

    `models` are the installed ones (names or `Model`s, default all of the catalogue; the rest can be pulled);
    `api_key` makes a bearer key necessary; `scenarios` adds scripted ones (a mapping or a YAML file).
    `default_num_ctx` is the window of requests without `num_ctx`, as OLLAMA_CONTEXT_LENGTH sets it.
    """

    name: ClassVar[str] = "ollama"

    def __init__(
        self,
        *,
        port: int = 0,
        clock: Clock | None = None,
        models: Iterable[str | Model] | None = None,
        api_key: str | None = None,
        scenarios: Mapping[str, Any] | Path | str | None = None,
        default_num_ctx: int = DEFAULT_NUM_CTX,
    ) -> None:
        super().__init__(port=port, clock=clock)
        self._api_key = api_key
        self._scenarios = load_scenarios(scenarios)
        self._models = ModelStore(models, default_num_ctx=default_num_ctx, now=self.clock.time())
        self._lock = threading.Lock()
        self._cut_prompts = 0

    @property
    def load_counts(self) -> dict[str, LoadCount]:
        """Loads and, among them, reloads for another window, by model."""
        return self._models.counts()

    @property
    def cut_prompts(self) -> int:
        """How many prompts lost messages because they were longer than the window."""
        with self._lock:
            return self._cut_prompts

    def state(self) -> dict[str, object]:
        return {
            "models": [m.name for m, _ in self._models.installed()],
            "loaded": {held.model.name: held.num_ctx for held in self._models.loaded(self.clock.time())},
            "load_counts": native.counted(self.load_counts),
            "cut_prompts": self.cut_prompts,
            "scenarios": sorted(self._scenarios),
        }

    def on_reset(self) -> None:
        self._models.clear()
        with self._lock:
            self._cut_prompts = 0

    def handle(self, request: SimRequest) -> SimResponse:
        try:
            self._authenticate(request)
            return self._route(request)
        except Refused as exc:
            status, text = exc.status, str(exc)
        except ModelNotFound as exc:
            status, text = 404, str(exc)
        except ValueError as exc:
            status, text = 400, str(exc)
        body = compatible.error(status, text) if request.path.startswith("/v1/") else {"error": text}
        return SimResponse.json(body, status)

    def _authenticate(self, request: SimRequest) -> None:
        if self._api_key is not None and request.bearer() != self._api_key:
            raise Refused(401, "unauthorized")

    def _route(self, request: SimRequest) -> SimResponse:
        match "GET" if request.method == "HEAD" else request.method, request.path:
            case "GET", "/":
                return SimResponse.text("Ollama is running")
            case "GET", "/api/version":
                return SimResponse.json({"version": VERSION})
            case "GET", "/api/tags":
                return SimResponse.json(
                    {"models": [native.model_row(*pair) for pair in self._models.installed()]}
                )
            case "GET", "/api/ps":
                held = self._models.loaded(self.clock.time())
                return SimResponse.json({"models": [native.loaded_row(h) for h in held]})
            case "GET", "/v1/models":
                rows = [compatible.model_row(*pair) for pair in self._models.installed()]
                return SimResponse.json({"object": "list", "data": rows})
            case "POST", "/api/show":
                return self._show(_object(request))
            case "POST", "/api/pull":
                return self._pull(_object(request))
            case "POST", "/api/generate":
                return self._generate(request, _object(request))
            case "POST", "/api/chat":
                return self._chat(request, _object(request))
            case "POST", "/v1/chat/completions":
                return self._completions(request, _object(request))
        return SimResponse.text("404 page not found", 404)

    def _show(self, body: Mapping[str, Any]) -> SimResponse:
        model = self._models.find(_model_name(body))
        installed = {m.name: at for m, at in self._models.installed()}
        return SimResponse.json(native.shown(model, installed[model.name]))

    def _pull(self, body: Mapping[str, Any]) -> SimResponse:
        model = self._models.in_registry(_model_name(body))
        missing = "pull model manifest: file does not exist"
        if body.get("stream") is False:
            if model is None:
                raise Refused(500, missing)
            self._models.install(model, self.clock.time())
            return SimResponse.json({"status": "success"})
        if model is None:
            lines: list[dict[str, Any]] = [
                {"status": "pulling manifest"},
                {"error": missing},
            ]
            return SimResponse(200, native.ndjson(lines), NDJSON)
        found = model

        def progress() -> Iterable[dict[str, Any]]:
            for line in native.pull_progress(found):
                if line["status"] == "success":
                    self._models.install(found, self.clock.time())
                yield line

        return SimResponse(200, native.ndjson(progress()), NDJSON)

    def _generate(self, request: SimRequest, body: Mapping[str, Any]) -> SimResponse:
        model = self._models.find(_model_name(body))
        head = self._head(model)
        if not body.get("prompt"):
            return self._load_only(model, body, {**head, "response": ""})
        messages = [Message("system", str(body["system"]))] if body.get("system") else []
        chat = Chat(
            (*messages, Message("user", str(body["prompt"]))),
            format=body.get("format") or None,
        )
        thought, loaded_now = self._think(request, model, body, chat)
        stream = body.get("stream") is not False
        lines = native.generated(head, thought, loaded_now, stream)
        return SimResponse(200, native.ndjson(lines), NDJSON) if stream else SimResponse.json(next(lines))

    def _chat(self, request: SimRequest, body: Mapping[str, Any]) -> SimResponse:
        model = self._models.find(_model_name(body))
        head = self._head(model)
        chat = parse_chat(body, format=body.get("format"))
        if not chat.messages:
            return self._load_only(model, body, {**head, "message": {"role": "assistant", "content": ""}})
        thought, loaded_now = self._think(request, model, body, chat)
        if body.get("stream") is False:
            return SimResponse.json(native.chat_whole(head, thought, loaded_now))
        return SimResponse(200, native.ndjson(native.chat_pieces(head, thought, loaded_now)), NDJSON)

    def _completions(self, request: SimRequest, body: Mapping[str, Any]) -> SimResponse:
        model = self._models.find(_model_name(body))
        chat = parse_chat(body, format=compatible.wanted_format(body))
        if not chat.messages:
            raise Refused(400, "[] is too short - 'messages'")
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        thought, _ = self._think(request, model, {"options": {"num_predict": limit}}, chat)
        name, now = str(body["model"]), self.clock.time()
        if not body.get("stream"):
            return SimResponse.json(compatible.completion(name, thought, now))
        with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        return SimResponse(200, compatible.events(name, thought, now, with_usage=with_usage), SSE)

    def _load_only(self, model: Model, body: Mapping[str, Any], answer: dict[str, Any]) -> SimResponse:
        """A request without content loads the model, or unloads it when it shall not be kept."""
        if body.get("keep_alive") in (0, "0", "0s"):
            self._models.unload(model)
            return SimResponse.json({**answer, "done": True, "done_reason": "unload"})
        num_ctx = self._models.window(model, _options(body).get("num_ctx"))
        self._models.load(model, num_ctx, body.get("keep_alive"), self.clock.time())
        return SimResponse.json({**answer, "done": True, "done_reason": "load"})

    def _think(
        self, request: SimRequest, model: Model, body: Mapping[str, Any], chat: Chat
    ) -> tuple[Thought, bool]:
        """The model's turn and whether the model had to be loaded for it; Refused for a scripted failure."""
        if chat.offered and "tools" not in model.capabilities:
            raise Refused(400, f"registry.ollama.ai/library/{model.name} does not support tools")
        options = _options(body)
        num_ctx = self._models.window(model, options.get("num_ctx"))
        loaded_now = self._models.load(model, num_ctx, body.get("keep_alive"), self.clock.time())
        limit = options.get("num_predict")
        thought = think(chat, num_ctx, self._scenarios, limit=int(limit) if limit else None)
        if thought.dropped:
            with self._lock:
                self._cut_prompts += 1
        if thought.turn.delay:
            self.pause(thought.turn.delay, request)
        if thought.turn.status != 200:
            raise Refused(thought.turn.status, thought.turn.error or "")
        return thought, loaded_now

    def _head(self, model: Model) -> dict[str, Any]:
        return {"model": model.name, "created_at": timestamp(self.clock.time())}


def _object(request: SimRequest) -> dict[str, Any]:
    body = request.json()
    if not isinstance(body, dict):
        raise Refused(400, "missing request body")
    return body


def _model_name(body: Mapping[str, Any]) -> str:
    name = body.get("model") or body.get("name")
    if not isinstance(name, str) or not name:
        raise Refused(400, "model is required")
    return name


def _options(body: Mapping[str, Any]) -> Mapping[str, Any]:
    options = body.get("options")
    return options if isinstance(options, Mapping) else {}
