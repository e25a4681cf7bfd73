"""The request of kind `agentic-agent` on the wire (jobs-api.md 4.3)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from rune_common.domain.runs import RunKind
from rune_common.http.schemas.work_fields import WorkFields


class SubmitAgentJob(WorkFields):
    """Ask the agent one question.

    `provisioning` and `vastai` have no meaning here and are ignored; the other fields of provider resources
    are checked and then not used.
    """

    kind: ClassVar[RunKind] = RunKind.AGENT
    meaningless: ClassVar[frozenset[str]] = frozenset({"provisioning", "vastai"})

    question: str = Field(min_length=1, max_length=100_000)
