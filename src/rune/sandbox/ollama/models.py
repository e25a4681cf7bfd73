"""The models a simulated server has, pulls and holds in memory (holmes-driver.md 6.1)."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

DEFAULT_NUM_CTX = 4096
"""The window a request without `num_ctx` gets, whatever the model could do."""

DEFAULT_KEEP_ALIVE_SECONDS = 300.0
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the registry: `size` in bytes, `context_length` in tokens."""

    name: str
    family: str
    parameter_size: str
    size: int
    context_length: int
    capabilities: tuple[str, ...]
    quantization: str = "Q4_K_M"

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.name.encode()).hexdigest()

    def details(self) -> dict[str, Any]:
        return {
            "parent_model": "",
            "format": "gguf",
            "family": self.family,
            "families": [self.family],
            "parameter_size": self.parameter_size,
            "quantization_level": self.quantization,
        }


CATALOGUE = (
    Model("llama3.1:8b", "llama", "8.0B", int(4.6 * GIB), 131_072, ("completion", "tools")),
    Model("qwen2.5:14b", "qwen2", "14.8B", int(8.4 * GIB), 32_768, ("completion", "tools")),
    Model("notools:1b", "gemma3", "1.0B", int(0.8 * GIB), 32_768, ("completion",)),
    Model(
        "vision:7b",
        "qwen25vl",
        "7.6B",
        int(5.5 * GIB),
        131_072,
        ("completion", "vision", "tools"),
    ),
    Model("tiny:1b", "llama", "1.2B", int(0.7 * GIB), 8_192, ("completion", "tools")),
)


class ModelNotFound(LookupError):
    """No model of that name is installed; the text is the server's."""

    def __init__(self, name: str) -> None:
        super().__init__(f"model '{name}' not found")


def full_name(name: str) -> str:
    """A name without tag means `:latest`; the tag follows the last slash, so a registry's port is none."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def parse_keep_alive(value: Any) -> float:
    """Seconds a model stays loaded: a number, or a duration such as `30m`; negative means for ever."""
    if value is None:
        return DEFAULT_KEEP_ALIVE_SECONDS
    if isinstance(value, str):
        parts = re.findall(r"([0-9.]+)(ms|s|m|h)", value)
        seconds = sum(float(n) * UNITS[u] for n, u in parts) if parts else float(value)
        seconds = -seconds if value.startswith("-") and parts else seconds
    else:
        seconds = float(value)
    return float("inf") if seconds < 0 else seconds


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory: its window in tokens, and until when (clock seconds) it stays unless used."""

    model: Model
    num_ctx: int
    expires_at: float


@dataclass(frozen=True, slots=True)
class LoadCount:
    """How often a model was loaded, and how many of these were reloads for another window."""

    loads: int = 0
    reloads: int = 0


class ModelStore:
    """Installed and loaded models; thread-safe. `models` limits what is installed, the rest can be pulled."""

    def __init__(self, models: Iterable[str | Model] | None, *, default_num_ctx: int, now: float) -> None:
        chosen = [m if isinstance(m, Model) else _catalogued(m) for m in models or CATALOGUE]
        self._registry = {m.name: m for m in (*CATALOGUE, *chosen)}
        self._initial = (
            {m.name: now for m in chosen} if models is not None else {m.name: now for m in CATALOGUE}
        )
        self._default_num_ctx = default_num_ctx
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Back to what was installed at the start, nothing loaded."""
        with self._lock:
            self._installed = dict(self._initial)
            self._loaded: dict[str, Loaded] = {}
            self._counts: dict[str, LoadCount] = {}

    def installed(self) -> list[tuple[Model, float]]:
        """Models with the moment (clock seconds) they were installed, newest first as servers list them."""
        with self._lock:
            found = [(self._registry[name], at) for name, at in self._installed.items()]
        return sorted(found, key=lambda pair: -pair[1])

    def find(self, name: str) -> Model:
        """The installed model; ModelNotFound otherwise."""
        with self._lock:
            if full_name(name) not in self._installed:
                raise ModelNotFound(name)
            return self._registry[full_name(name)]

    def in_registry(self, name: str) -> Model | None:
        return self._registry.get(full_name(name))

    def install(self, model: Model, now: float) -> None:
        with self._lock:
            self._installed[model.name] = now

    def window(self, model: Model, num_ctx: Any) -> int:
        """The window a request gets: what it asked for up to the model's own, or the small default."""
        asked = int(num_ctx) if isinstance(num_ctx, int | float) and num_ctx > 0 else self._default_num_ctx
        return min(asked, model.context_length)

    def load(self, model: Model, num_ctx: int, keep_alive: Any, now: float) -> bool:
        """Hold the model with this window; True when it had to be loaded, a reload for the window too."""
        seconds = parse_keep_alive(keep_alive)
        with self._lock:
            held = self._held(model.name, now)
            fresh = held is None or held.num_ctx != num_ctx
            self._loaded[model.name] = Loaded(model, num_ctx, now + seconds)
            if fresh:
                count = self._counts.get(model.name, LoadCount())
                reloads = count.reloads + (held is not None)
                self._counts[model.name] = replace(count, loads=count.loads + 1, reloads=reloads)
            if seconds == 0:
                del self._loaded[model.name]
            return fresh

    def unload(self, model: Model) -> None:
        with self._lock:
            self._loaded.pop(model.name, None)

    def loaded(self, now: float) -> list[Loaded]:
        with self._lock:
            return [held for name in list(self._loaded) if (held := self._held(name, now)) is not None]

    def counts(self) -> dict[str, LoadCount]:
        with self._lock:
            return dict(self._counts)

    def _held(self, name: str, now: float) -> Loaded | None:
        held = self._loaded.get(name)
        return held if held is not None and held.expires_at > now else None


def _catalogued(name: str) -> Model:
    known = {m.name: m for m in CATALOGUE}
    if full_name(name) in known:
        return known[full_name(name)]
    return replace(known["llama3.1:8b"], name=full_name(name))


def timestamp(seconds: float) -> str:
    """Clock seconds as the server writes times; for ever becomes the far year it uses."""
    if seconds == float("inf"):
        return "2318-11-04T00:00:00Z"
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
