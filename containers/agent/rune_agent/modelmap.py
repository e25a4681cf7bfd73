"""From a backend and a model name to what the agent's library is told (holmes-driver.md 3.1, 3.2)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from rune_agent.problems import AgentProblem

MIN_CONTEXT = 12_288
DEFAULT_NUM_CTX = 16_384
UNKNOWN_HOSTED_CONTEXT = 32_768
MIN_OUTPUT, MAX_OUTPUT = 1_024, 64_000
KEEP_ALIVE = "30m"

BACKENDS = {
    "ollama": "ollama",
    "openai": "openai",
    "openai-compatible": "openai",
    "vllm": "openai",
    "k8s-inference": "openai",
    "bedrock": "bedrock",
    "litellm": "litellm",
}
BACKENDS_WITH_URL = frozenset({"ollama", "openai"})


@dataclass(frozen=True, slots=True)
class LibraryModel:
    """`model`, `api_base` and `api_key` as the library's LLM class takes them; `args` go into every call."""

    model: str
    api_base: str | None
    api_key: str | None
    args: dict[str, Any]


def backend(name: object) -> str:
    """The backend's own name for an alias. Raises AgentProblem `bad_request`."""
    known = BACKENDS.get(name) if isinstance(name, str) else None
    if known is None:
        raise AgentProblem("bad_request", "backend_type is not one of the known backends")
    return known


def ollama_name(given: str) -> str:
    """The server's own name: exactly one provider prefix is stripped, other slashes belong to the name."""
    for prefix in ("ollama_chat/", "ollama/"):
        if given.startswith(prefix):
            return given.removeprefix(prefix)
    return given


def openai_name(given: str, listed: Collection[str]) -> str:
    """A name that the server lists is used whole; otherwise one `openai/` is stripped."""
    return given if given in listed else given.removeprefix("openai/")


def same_model(left: str, right: str) -> bool:
    """A name without tag equals the one tagged `latest`."""
    return _tagged(left) == _tagged(right)


def _tagged(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def ollama_base(url: str) -> str:
    """Server address without trailing slash, `/v1` or `/api`."""
    base = url.rstrip("/")
    for suffix in ("/v1", "/api"):
        base = base.removesuffix(suffix)
    return base.rstrip("/")


def openai_base(url: str) -> str:
    parts = urlsplit(url.rstrip("/"))
    path = parts.path if parts.path.endswith("/v1") else f"{parts.path}/v1"
    return urlunsplit(parts._replace(path=path))


def context_window(requested: int | None, maximum: int | None, num_ctx: int) -> int:
    """
    Tokens of the window: what was asked for, else `num_ctx`, never above the model's `maximum`.
    Raises AgentProblem `context_too_small` below 12,288, where the agent's own prompt leaves no room.
    """
    window = min(requested or num_ctx, maximum or requested or num_ctx)
    if window < MIN_CONTEXT:
        raise AgentProblem("context_too_small", f"the model's context window is below {MIN_CONTEXT} tokens")
    return window


def output_limit(requested: int | None, window: int) -> int:
    """Tokens reserved for one answer."""
    default = max(MIN_OUTPUT, min(window // 5, MAX_OUTPUT))
    return min(requested, window // 2) if requested else default


def library_model(
    kind: str, name: str, url: str | None, window: int, llm_args: dict[str, Any], listed: Collection[str] = ()
) -> LibraryModel:
    """
    What the library is told for one run. `llm_args` come from the model list only and may hold keys.
    `num_ctx` is always sent to Ollama: without it the server cuts the prompt in silence.
    """
    args = {key: value for key, value in llm_args.items() if key not in ("api_key", "api_base", "base_url")}
    key = llm_args.get("api_key")
    base = url or llm_args.get("api_base") or llm_args.get("base_url")
    if kind == "ollama":
        args = {"keep_alive": KEEP_ALIVE, **args, "num_ctx": window}
        return LibraryModel(f"ollama_chat/{ollama_name(name)}", ollama_base(base or ""), key, args)
    if kind == "openai":
        return LibraryModel(
            f"openai/{openai_name(name, listed)}", openai_base(base or ""), key or "none", args
        )
    if kind == "bedrock":
        return LibraryModel(f"bedrock/{name.removeprefix('bedrock/')}", None, None, args)
    return LibraryModel(name, base, key, args)
