"""Lists as `Table`, with the columns kubectl shows (meta.k8s.io/v1)."""

from __future__ import annotations

from typing import Any

from rune.sandbox.kube.parts import Json, seconds_of
from rune.sandbox.kube.rows import cells_of, columns_of

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86_400, 365 * 86_400


def human(seconds: float) -> str:
    """A duration as kubectl writes ages: `45s`, `5m30s`, `3h12m`, `26h`, `12d`."""
    s = int(seconds)
    if s < 0:
        return "0s" if s == -1 else "<invalid>"
    if s < 2 * MINUTE:
        return f"{s}s"
    if s < 10 * MINUTE:
        return _two(s, MINUTE, "m", 1, "s")
    if s < 3 * HOUR:
        return f"{s // MINUTE}m"
    if s < 8 * HOUR:
        return _two(s, HOUR, "h", MINUTE, "m")
    if s < 2 * DAY:
        return f"{s // HOUR}h"
    if s < 8 * DAY:
        return _two(s, DAY, "d", HOUR, "h")
    if s < 2 * YEAR:
        return f"{s // DAY}d"
    return _two(s, YEAR, "y", DAY, "d") if s < 8 * YEAR else f"{s // YEAR}y"


def _two(seconds: int, large: int, mark: str, small: int, small_mark: str) -> str:
    rest = seconds % large // small
    return f"{seconds // large}{mark}{rest}{small_mark}" if rest else f"{seconds // large}{mark}"


def table(key: tuple[str, str], objects: list[Json], now: float, include: str, version: str = "v1") -> Json:
    """A Table without list metadata; `include` is `includeObject`: None, Metadata (default) or Object."""

    def age(text: str | None) -> str:
        return "<unknown>" if text is None else human(now - seconds_of(text))

    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": {},
        "columnDefinitions": [
            {"name": name, "type": kind, "format": "name" if name == "Name" else "", "description": "",
             "priority": priority}
            for name, kind, priority in columns_of(key)
        ],
        "rows": [{"cells": cells_of(key, each, age), **_shown(each, include)} for each in objects],
    }  # fmt: skip


def _shown(found: Json, include: str) -> Json:
    if include == "None":
        return {}
    if include == "Object":
        return {"object": found}
    partial: dict[str, Any] = {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": found["metadata"],
    }
    return {"object": partial}
