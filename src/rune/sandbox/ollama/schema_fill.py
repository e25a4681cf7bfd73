"""JSON in a wanted format, filled from what the conversation holds (holmes-driver.md 6.1, step 6)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rune.sandbox.ollama.causes import Finding
from rune.sandbox.ollama.report import Report

MAX_DEPTH = 20
GOOD = re.compile(r"^(?!.*un_?healthy)(?!.*not_).*(healthy|ok|okay|success|passed)$", re.IGNORECASE)
GOOD_WORDS = ("healthy", "ok", "none", "info", "low", "success", "passed", "resolved")
BAD_WORDS = (
    "critical",
    "unhealthy",
    "high",
    "error",
    "degraded",
    "failed",
    "warning",
    "medium",
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the schema a value is wanted: its key, and the finding that an object in a list is about."""

    key: str
    root: Mapping[str, Any]
    report: Report
    finding: Finding | None = None
    depth: int = 0


def fill(format: Any, report: Report) -> str:
    """JSON text for `format`: `"json"` gives an object of a fixed shape, a schema what it demands."""
    if not isinstance(format, Mapping):
        own = {
            "summary": report.summary,
            "healthy": report.healthy,
            "findings": [f.line() for f in report.findings],
        }
        return json.dumps(own, ensure_ascii=False)
    return json.dumps(_value(format, _Place("", format, report)), ensure_ascii=False)


def _value(schema: Any, place: _Place) -> Any:
    if not isinstance(schema, Mapping) or place.depth > MAX_DEPTH:
        return _string({}, place)
    if (ref := schema.get("$ref")) is not None:
        return _value(_resolve(str(ref), place.root), replace(place, depth=place.depth + 1))
    for keyword in ("anyOf", "oneOf", "allOf"):
        if branches := schema.get(keyword):
            chosen = next((b for b in branches if b.get("type") != "null"), branches[0])
            return _value(chosen, replace(place, depth=place.depth + 1))
    if "const" in schema:
        return schema["const"]
    if choices := schema.get("enum"):
        return _choice(list(choices), place)
    kinds = schema.get("type", "object" if "properties" in schema else "string")
    kind = next((k for k in kinds if k != "null"), "null") if isinstance(kinds, list) else kinds
    match kind:
        case "object":
            return _object(schema, place)
        case "array":
            return _array(schema, place)
        case "boolean":
            good = place.finding is None and place.report.healthy
            return good if GOOD.match(place.key) else not good
        case "integer" | "number":
            return _number(schema, place)
        case "null":
            return None
    return _string(schema, place)


def _object(schema: Mapping[str, Any], place: _Place) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    missing: dict[str, Any] = {name: {} for name in schema.get("required") or [] if name not in properties}
    return {
        name: _value(wanted, replace(place, key=str(name), depth=place.depth + 1))
        for name, wanted in {**properties, **missing}.items()
    }


def _array(schema: Mapping[str, Any], place: _Place) -> list[Any]:
    wanted = schema.get("items") or {}
    inner = replace(place, depth=place.depth + 1)
    values = [_value(wanted, replace(inner, finding=f)) for f in place.report.findings]
    while len(values) < int(schema.get("minItems", 0)):
        values.append(_value(wanted, inner))
    return values[: int(schema["maxItems"])] if "maxItems" in schema else values


def _string(schema: Mapping[str, Any], place: _Place) -> str:
    finding = place.finding or next(iter(place.report.findings), None)
    key = place.key.lower()
    text = place.finding.line() if place.finding else place.report.summary
    if finding is not None:
        by_key = {
            "namespace": finding.namespace,
            "pod": finding.name,
            "name": finding.name,
            "cause": finding.cause,
            "root_cause": finding.cause,
            "reason": finding.cause,
            "evidence": finding.quote,
            "quote": finding.quote,
            "action": finding.action,
            "recommendation": finding.action,
        }
        text = by_key.get(key.removesuffix("_name") if key != "name" else key) or text
    text = text.ljust(int(schema.get("minLength", 0)), ".")
    return text[: int(schema["maxLength"])] if "maxLength" in schema else text


def _number(schema: Mapping[str, Any], place: _Place) -> int | float:
    number: int | float = len(place.report.findings)
    number = max(number, schema.get("minimum", number))
    number = min(number, schema.get("maximum", number))
    return int(number) if schema.get("type") == "integer" else number


def _choice(choices: list[Any], place: _Place) -> Any:
    good = place.finding is None and place.report.healthy
    wanted = GOOD_WORDS if good else BAD_WORDS
    by_word = {str(c).lower(): c for c in choices}
    return next((by_word[w] for w in wanted if w in by_word), choices[0])


def _resolve(ref: str, root: Mapping[str, Any]) -> Any:
    found: Any = root
    for part in ref.removeprefix("#").strip("/").split("/"):
        found = (
            found.get(part.replace("~1", "/").replace("~0", "~"), {})
            if isinstance(found, Mapping) and part
            else found
        )
    return found
