"""Valid requests for runs, before the defaults of tenant and server (runs-api.md 2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rune_common.domain.errors import FieldProblem
from rune_common.domain.run_errors import ModeProfileMismatch
from rune_common.domain.runs import RunKind


class Mode(StrEnum):
    ADVICE = "advice"
    AUDIT_READONLY = "audit_readonly"
    EDIT_GATED = "edit_gated"
    AUTONOMOUS_GATED = "autonomous_gated"


class Profile(StrEnum):
    CLI_LOCAL = "cli_local"
    CONTAINER_READONLY = "container_readonly"
    CONTAINER_WRITE = "container_write"


WRITE_MODES = frozenset({Mode.EDIT_GATED, Mode.AUTONOMOUS_GATED})
WRITE_PROFILES = frozenset({Profile.CONTAINER_WRITE, Profile.CLI_LOCAL})
CREATED_HERE = frozenset({RunKind.AGENT, RunKind.BENCHMARK, RunKind.COMMAND, RunKind.EXTERNAL, RunKind.CHAIN})
"""The kinds that a run may be asked to have; the others have paths of their own (runs-api.md 2.1)."""


@dataclass(frozen=True, slots=True)
class NewRun:
    """A request for a run. `work` is the same request as its kind's job has, None for an external run.

    `document` holds what every kind has: what a list, a status and a policy ask for.
    """

    kind: RunKind
    document: Mapping[str, Any]
    work: Any = None
    timeout_seconds: int = 3600

    @property
    def parent_run_id(self) -> str | None:
        found: str | None = self.document.get("parent_run_id")
        return found


def inferred_kind(body: Mapping[str, Any]) -> RunKind | None:
    """The kind of a body that names none: the first of the contract's rules that holds."""
    if body.get("runtime_profile") == Profile.CLI_LOCAL:
        return RunKind.EXTERNAL
    for kind in (RunKind.COMMAND, RunKind.CHAIN, RunKind.BENCHMARK):
        if isinstance(body.get(kind), Mapping):
            return kind
    asks = body.get("question") is not None or body.get("task") is not None
    return RunKind.AGENT if asks else None


def profile_for(kind: RunKind, mode: Mode, asked: Profile | None) -> Profile:
    """Where a run's work is done. Raises ModeProfileMismatch for a mode that it could not do there."""
    if asked is None:
        if kind is RunKind.EXTERNAL:
            return Profile.CLI_LOCAL
        return Profile.CONTAINER_WRITE if mode in WRITE_MODES else Profile.CONTAINER_READONLY
    if mode in WRITE_MODES and asked not in WRITE_PROFILES:
        raise ModeProfileMismatch(
            FieldProblem("runtime_profile", "conflict", "cannot write, but the mode does")
        )
    return asked
