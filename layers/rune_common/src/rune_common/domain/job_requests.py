"""Valid requests for jobs, before the defaults of tenant and server (jobs-api.md 4.3). None: "not given"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rune_common.domain.chain_rules import ChainSpec
from rune_common.domain.runs import RunKind

LEASE_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class RentalTerms:
    """How a GPU may be rented: $/h, reliability 0 to 1, `vram_mb` instead of what the model is known to need.

    `stop_instance` False keeps the instance for `lease_seconds` after its job.
    """

    template_hash: str | None = None
    min_dph: float | None = None
    max_dph: float | None = None
    reliability: float | None = None
    stop_instance: bool | None = None
    lease_seconds: int = LEASE_SECONDS
    vram_mb: int | None = None


@dataclass(frozen=True, slots=True)
class WorkRequest:
    """A request of kind `agentic-agent`, `benchmark`, `llm-instance` or `chain`.

    `vastai`: whether a GPU is to be rented, which the first of them may not ask for. `chain`: the last one's steps.
    """

    kind: RunKind
    question: str | None = None
    model: str | None = None
    backend_type: str | None = None
    backend_url: str | None = None
    backend_warmup: bool | None = None
    backend_warmup_timeout: int | None = None
    kubeconfig: str | None = None
    agent: str | None = None
    timeout_seconds: int = 3600
    max_cost_usd: float | None = None
    approval: Mapping[str, Any] = field(default_factory=lambda: {"mode": "none"})
    vastai: bool | None = None
    terms: RentalTerms = field(default_factory=RentalTerms)
    attestation_required: bool = False
    chain: ChainSpec | None = None
