"""The keys of the configuration file, their variables and built-in values (jobs-api.md 15 and 16)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})
SECRET_KEYS = {"api_token": "RUNE_API_TOKEN", "vast_api_key": "VAST_API_KEY"}

Scalar = str | int | float | bool


class Kind(Enum):
    TEXT = "text"
    FLAG = "flag"
    WHOLE = "whole number"
    NUMBER = "number"


# Options that are not called after their key.
OPTIONS = {
    "api_host": "--host",
    "api_port": "--port",
    "template_hash": "--vastai-template",
    "min_dph": "--vastai-min-dph",
    "max_dph": "--vastai-max-dph",
    "reliability": "--vastai-reliability",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. `default` None means that there is no built-in value; `choices` empty: any text."""

    name: str
    variable: str
    kind: Kind
    default: Scalar | None
    meaning: str
    choices: tuple[str, ...] = ()
    minimum: float = -math.inf
    maximum: float = math.inf

    @property
    def option(self) -> str:
        return OPTIONS.get(self.name, f"--{self.name.replace('_', '-')}")

    def rule(self) -> str:
        """What a value must be, as the end of a sentence."""
        if self.choices:
            return "must be " + " or ".join(f"'{choice}'" for choice in self.choices)
        if self.kind is Kind.FLAG:
            return "must be true or false"
        if self.kind is Kind.TEXT:
            return "must be text"
        bounds = [f"at least {self.minimum:g}"] if self.minimum > -math.inf else []
        bounds += [f"at most {self.maximum:g}"] if self.maximum < math.inf else []
        return " ".join([f"must be a {self.kind.value}", " and ".join(bounds)]).rstrip()

    def parse(self, text: str) -> Scalar:
        """The value of a variable. Raises ValueError, with the rule as its text."""
        if self.kind is Kind.FLAG:
            word = text.strip().lower()
            if word not in TRUE_WORDS | FALSE_WORDS:
                raise ValueError(self.rule())
            return word in TRUE_WORDS
        if self.kind is Kind.TEXT:
            return self.accept(text)
        try:
            return self.accept(int(text) if self.kind is Kind.WHOLE else float(text))
        except ValueError:
            raise ValueError(self.rule()) from None

    def accept(self, value: object) -> Scalar:
        """A value that already has a type, from the file or an option. Raises ValueError as `parse` does."""
        if isinstance(value, bool) and self.kind is Kind.FLAG:
            return value
        if isinstance(value, str) and self.kind is Kind.TEXT and (not self.choices or value in self.choices):
            return value
        whole = isinstance(value, int) and not isinstance(value, bool)
        if (
            whole
            and self.kind is Kind.WHOLE
            or (whole or isinstance(value, float))
            and self.kind is Kind.NUMBER
        ):
            assert isinstance(value, int | float)
            if math.isfinite(value) and self.minimum <= value <= self.maximum:
                return value
        raise ValueError(self.rule())


def _keys(*keys: Key) -> dict[str, Key]:
    return {key.name: key for key in keys}


T, F, W, N = Kind.TEXT, Kind.FLAG, Kind.WHOLE, Kind.NUMBER

KEYS = _keys(
    Key("backend", "RUNE_BACKEND", T, "local", "Where jobs run: here or on a server.", ("local", "http")),
    Key("api_base_url", "RUNE_API_BASE_URL", T, "http://localhost:8080", "Address of the server."),
    Key("api_tenant", "RUNE_API_TENANT", T, "default", "Tenant on the server."),
    Key("debug", "RUNE_DEBUG", F, False, "Show requests on stderr, secrets masked, and tracebacks of bugs."),
    Key("insecure", "RUNE_INSECURE", F, False, "Do not verify the server's TLS certificate."),
    Key("api_host", "RUNE_API_HOST", T, "127.0.0.1", "Address to listen on."),
    Key("api_port", "RUNE_API_PORT", W, 8080, "Port to listen on; 0 takes a free one.", (), 0, 65_535),
    Key("vastai", "RUNE_VASTAI", F, False, "Rent a GPU at Vast.ai for the work."),
    Key("template_hash", "RUNE_VASTAI_TEMPLATE", T, "c166c11f035d3a97871a23bd32ca6aba", "Vast.ai template."),
    Key("max_dph", "RUNE_VASTAI_MAX_DPH", N, 3.0, "Highest price in dollars per hour.", (), 0, 128),
    Key("min_dph", "RUNE_VASTAI_MIN_DPH", N, 2.3, "Lowest price in dollars per hour.", (), 0, 128),
    Key("reliability", "RUNE_VASTAI_RELIABILITY", N, 0.99, "Lowest reliability; 99 means 0.99.", (), 0, 100),
    Key("vastai_stop_instance", "RUNE_VASTAI_STOP_INSTANCE", F, True, "Destroy the rented GPU at the end."),
    Key("backend_type", "RUNE_BACKEND_TYPE", T, "ollama", "Kind of model server."),
    Key("backend_url", "RUNE_BACKEND_URL", T, None, "Address of the model server."),
    Key("backend_warmup", "RUNE_BACKEND_WARMUP", F, True, "Load the model before the question is asked."),
    Key("backend_warmup_timeout", "RUNE_BACKEND_WARMUP_TIMEOUT", W, 90, "Seconds for that.", (), 1),
    Key("question", "RUNE_QUESTION", T, "What is unhealthy in this Kubernetes cluster?", "What to ask."),
    Key("model", "RUNE_MODEL", T, "llama3.1:8b", "Model to ask."),
    Key("agent", "RUNE_AGENT", T, "holmes", "Agent that finds the answer."),
    Key("kubeconfig", "RUNE_KUBECONFIG", T, "~/.kube/config", "Cluster to look at; empty for none."),
)  # fmt: skip
