"""The request of kind `benchmark` on the wire (jobs-api.md 4.3)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from rune_common.domain.runs import RunKind
from rune_common.http.schemas.work_fields import WorkFields


class SubmitBenchmark(WorkFields):
    """Ask the agent one question of a model on a given server, or on a GPU that is rented for it."""

    kind: ClassVar[RunKind] = RunKind.BENCHMARK

    question: str | None = Field(None, max_length=100_000)
    vastai: bool | None = None
    attestation_required: bool = False

    @classmethod
    def blank_fields(cls) -> frozenset[str]:
        return frozenset({"question"})
