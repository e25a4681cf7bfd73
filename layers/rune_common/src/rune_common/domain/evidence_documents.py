"""The evidence of one run, as documents: provenance, components, and where its log stood (jobs-api.md 10)."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rune_common.domain.canonical import canonical_json, normalise
from rune_common.domain.events import Event, timestamp
from rune_common.domain.jobs import KIND_WORDS
from rune_common.domain.runs import Run

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
EVIDENCE_SCHEMA = "rune.run-evidence.v1"
_LABELS = {"offer_id": "offer", "machine_id": "machine", "contract_id": "instance"}
_PACKAGES = {"holmes": ("holmesgpt", "pkg:pypi/holmesgpt@{}")}
"""Agents whose driver is a published package: its name, and how its versions are called."""


@dataclass(frozen=True, slots=True)
class Product:
    """What ran: this product's version, the deployment, and the agent's image with its digest if known."""

    version: str
    deployment: str = ""
    agent_image: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the log says about a run's ingredients. `labels` are those of its spans, the newest first."""

    request: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, Any] = field(default_factory=dict)


def facts_of(events: Sequence[Event]) -> Facts:
    request: Mapping[str, Any] = {}
    labels: dict[str, Any] = {}
    for event in events:
        payload = event.document()["payload"]
        if event.type == "run_queued" and isinstance(payload.get("request"), Mapping):
            request = payload["request"]
        span = payload.get("span")
        found = span.get("labels") if isinstance(span, Mapping) else None
        labels |= found if isinstance(found, Mapping) else {}
    return Facts(request, labels)


def result_bytes(result: Mapping[str, Any] | None) -> bytes:
    """`result.json`: the RFC 8785 form of a job's result without `artifacts`, which lists this evidence too.

    `{}` for a job without a result.
    """
    kept = {name: value for name, value in (result or {}).items() if name != "artifacts"}
    return canonical_json(normalise(kept, strict=False))


def result_sha256(result: Mapping[str, Any] | None) -> str:
    return hashlib.sha256(result_bytes(result)).hexdigest()


def provenance(run: Run, facts: Facts, result: Mapping[str, Any] | None, product: Product) -> dict[str, Any]:
    """An in-toto statement with SLSA's provenance predicate. It is not signed and claims no level."""
    times = {"startedOn": run.started_at, "finishedOn": run.finished_at}
    return {
        "_type": STATEMENT,
        "subject": [{"name": "result.json", "digest": {"sha256": result_sha256(result)}}],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": KIND_WORDS[run.kind],
                "externalParameters": dict(facts.request),
                "internalParameters": {},
                "resolvedDependencies": _dependencies(run, facts, result, product),
            },
            "runDetails": {
                "builder": {
                    "id": f"urn:rune:deployment:{product.deployment or 'unnamed'}",
                    "version": {"rune": product.version},
                },
                "metadata": {
                    "invocationId": run.run_id,
                    **{name: timestamp(ms) for name, ms in times.items() if ms is not None},
                },
            },
        },
    }


def _dependencies(
    run: Run, facts: Facts, result: Mapping[str, Any] | None, product: Product
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    image, _, digest = product.agent_image.partition("@sha256:")
    if digest:
        found.append({"name": "driver", "uri": f"oci://{image}", "digest": {"sha256": digest}})
    elif version := _agent_version(result):
        found.append({"name": "driver", "uri": _package(run.agent, version)})
    if run.model:
        model: dict[str, Any] = {"name": "model", "uri": f"urn:rune:model:{run.backend_type}:{run.model}"}
        if digest := _model_digest(facts):
            model["digest"] = {"sha256": digest}
        found.append(model)
    rented = [
        {"name": name, "uri": f"urn:rune:provider:vastai:{name}:{facts.labels[label]}"}
        for label, name in _LABELS.items()
        if facts.labels.get(label)
    ]
    return found + rented


def bill_of_materials(
    run: Run, facts: Facts, result: Mapping[str, Any] | None, product: Product, *, now_ms: int
) -> dict[str, Any]:
    """CycloneDX 1.6: the driver, as far as it told what it is, and the model that it asked."""
    components: list[dict[str, Any]] = []
    if version := _agent_version(result):
        name, _ = _PACKAGES.get(run.agent, (run.agent, ""))
        reference = _package(run.agent, version)
        component = {"type": "application", "bom-ref": reference, "name": name, "version": version}
        components.append(component | ({"purl": reference} if reference.startswith("pkg:") else {}))
    if run.model:
        name, _, tag = run.model.partition(":")
        model: dict[str, Any] = {
            "type": "machine-learning-model",
            "bom-ref": f"urn:rune:model:{run.backend_type}:{run.model}",
            "name": name,
        }
        model |= {"version": tag} if tag else {}
        digest = _model_digest(facts)
        model |= {"hashes": [{"alg": "SHA-256", "content": digest}]} if digest else {}
        components.append(model)
    tool = {"type": "application", "name": "rune", "version": product.version}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'urn:rune:run:{run.run_id}')}",
        "version": 1,
        "metadata": {
            "timestamp": timestamp(now_ms),
            "tools": {"components": [tool]},
            "component": {"type": "application", "bom-ref": f"urn:rune:run:{run.run_id}", "name": run.agent},
        },
        "components": components,
        "dependencies": [
            {"ref": f"urn:rune:run:{run.run_id}", "dependsOn": [each["bom-ref"] for each in components]},
            *({"ref": each["bom-ref"]} for each in components),
        ],
    }


def run_evidence(before: Run, after: Run, result: Mapping[str, Any] | None, *, now_ms: int) -> dict[str, Any]:
    """Where the log stood when the evidence was written: what follows it, the terminal event last, is linked."""
    return {
        "schema": EVIDENCE_SCHEMA,
        "run_id": after.run_id,
        "kind": KIND_WORDS[after.kind],
        "status": str(after.state),
        "written_at": timestamp(now_ms),
        "event_count": before.head.sequence,
        "head_hash": before.head.last_hash,
        "result_sha256": result_sha256(result),
    }


def _agent_version(result: Mapping[str, Any] | None) -> str:
    metadata = (result or {}).get("metadata")
    version = metadata.get("driver_version") if isinstance(metadata, Mapping) else None
    return version if isinstance(version, str) else ""


def _package(agent: str, version: str) -> str:
    known = _PACKAGES.get(agent)
    return known[1].format(version) if known else f"urn:rune:driver:{agent}:{version}"


def _model_digest(facts: Facts) -> str:
    """The digest of the model as its server reported it, when a phase recorded it."""
    found = facts.labels.get("model_digest")
    return found.removeprefix("sha256:") if isinstance(found, str) else ""
