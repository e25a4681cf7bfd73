"""Plans of the kinds that need a model server: agent, benchmark, instance (jobs-api.md 4.3, 7.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rune_common.domain.errors import (
    AttestationUnavailable,
    FieldProblem,
    InvalidRequest,
    ModelSizeUnknown,
    ProviderNotConfigured,
)
from rune_common.domain.job_requests import RentalTerms, WorkRequest
from rune_common.domain.jobs import resolve_agent, resolve_backend_type
from rune_common.domain.model_catalog import CATALOG, ModelNeed, model_need
from rune_common.domain.runs import RunKind
from rune_common.domain.spend import SpendLimits, check_projection
from rune_common.usecases.plan_job import Plan, Planning

RENTED_BACKEND_TYPE = "ollama"


def plan_work(asked: WorkRequest, planning: Planning) -> Plan:
    """Raises InvalidRequest and its kinds."""
    if asked.attestation_required and not planning.rules.attests:
        raise AttestationUnavailable
    defaults = planning.defaults
    rents = _rents(asked, defaults)
    agent, warnings = resolve_agent(asked.agent or defaults["agent"])
    backend_type = (
        RENTED_BACKEND_TYPE
        if rents
        else resolve_backend_type(_or(asked.backend_type, defaults, "backend_type"))
    )
    model = asked.model or _default_model(asked, defaults, rents=rents)
    document: dict[str, Any] = {
        "model": model,
        "backend_type": backend_type,
        "backend_url": None if rents else planning.backend_url(asked.backend_url),
        "backend_warmup": _or(asked.backend_warmup, defaults, "backend_warmup"),
        "backend_warmup_timeout": _or(asked.backend_warmup_timeout, defaults, "backend_warmup_timeout"),
        "timeout_seconds": asked.timeout_seconds,
        "max_cost_usd": asked.max_cost_usd,
        "approval": dict(asked.approval),
    }
    if rents:
        document["rental"] = _rental(asked, model, planning)
    elif not document["backend_url"]:
        raise ProviderNotConfigured
    if asked.kind is RunKind.LLM_INSTANCE:
        return Plan(document, model, agent, backend_type, asked.timeout_seconds)
    cluster = planning.cluster(asked.kubeconfig)
    document |= {
        "question": _or(asked.question, defaults, "question"),
        "agent": agent,
        "requested_agent": asked.agent or agent,
        "require_cluster": cluster.kubeconfig is not None,
    }
    return Plan(
        document,
        model,
        agent,
        backend_type,
        asked.timeout_seconds,
        secrets={"kubeconfig": cluster.kubeconfig} if cluster.kubeconfig else {},
        warnings=(*warnings, *cluster.warnings),
        concealed=("kubeconfig",) if asked.kubeconfig else (),
    )


def _rents(asked: WorkRequest, defaults: Mapping[str, Any]) -> bool:
    """Whether a GPU is rented. An address in the request goes before the tenant's wish to rent."""
    if asked.kind is RunKind.AGENT:
        return False
    if asked.vastai is None:
        return bool(defaults["vastai"]) and not asked.backend_url
    return asked.vastai


def _default_model(asked: WorkRequest, defaults: Mapping[str, Any], *, rents: bool) -> str:
    """ "" for an instance that is to hold the largest model that fits."""
    return "" if rents and asked.kind is RunKind.LLM_INSTANCE else str(defaults["model"])


def _rental(asked: WorkRequest, model: str, planning: Planning) -> dict[str, Any]:
    """The terms under which an instance is rented, complete and affordable."""
    terms, defaults = asked.terms, planning.defaults
    if asked.backend_type and resolve_backend_type(asked.backend_type) != RENTED_BACKEND_TYPE:
        raise InvalidRequest(FieldProblem("backend_type", "conflict", "must be ollama with vastai"))
    if not planning.rules.rents_gpus:
        raise ProviderNotConfigured
    need = _need(asked, model)
    low, high = _prices(terms, defaults)
    limits = SpendLimits.of_usd(defaults["spend_limit_per_job_usd"], defaults["spend_limit_per_day_usd"])
    job_limit = limits.job_limit(spent_today=planning.spent_today(), max_cost_usd=asked.max_cost_usd)
    check_projection(low, asked.timeout_seconds, job_limit)
    return {
        "template_hash": _or(terms.template_hash, defaults, "template_hash"),
        "min_dph": low,
        "max_dph": high,
        "reliability": _or(terms.reliability, defaults, "reliability"),
        "stop_instance": asked.kind is not RunKind.LLM_INSTANCE
        and bool(_or(terms.stop_instance, defaults, "vastai_stop_instance")),
        "lease_seconds": terms.lease_seconds,
        "vram_mb": need.vram_mb,
        "disk_gb": need.disk_gb,
        "spend_limit_per_job_usd": defaults["spend_limit_per_job_usd"],
        "spend_limit_per_day_usd": defaults["spend_limit_per_day_usd"],
    }


def _need(asked: WorkRequest, model: str) -> ModelNeed:
    """Memory for the largest of a chain's models, which take turns, and disk for all of them."""
    steps = asked.chain.steps if asked.chain else ()
    models = {model or CATALOG[-1].name, *(step.model for step in steps if step.model)}
    found = [model_need(each, vram_mb=asked.terms.vram_mb) for each in models]
    needs = [each for each in found if each is not None]
    if len(needs) < len(found):
        raise ModelSizeUnknown
    return ModelNeed(max(each.vram_mb for each in needs), sum(each.disk_gb for each in needs))


def _prices(terms: RentalTerms, defaults: Mapping[str, Any]) -> tuple[float, float]:
    low = _or(terms.min_dph, defaults, "min_dph") or 0.0
    high = _or(terms.max_dph, defaults, "max_dph")
    if low > high:
        raise InvalidRequest(FieldProblem("min_dph", "too_large", "must not be greater than max_dph"))
    return low, high


def _or(given: Any, defaults: Mapping[str, Any], key: str) -> Any:
    return defaults.get(key) if given is None else given
