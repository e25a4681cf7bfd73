"""The request of kind `llm-instance`, also called `ollama-instance`, on the wire (jobs-api.md 4.3)."""

from __future__ import annotations

from typing import ClassVar

from rune_common.domain.runs import RunKind
from rune_common.http.schemas.work_fields import WorkFields


class SubmitLlmInstance(WorkFields):
    """Look at a given model server, or rent one that is kept until its lease ends. No agent is asked."""

    kind: ClassVar[RunKind] = RunKind.LLM_INSTANCE

    vastai: bool | None = None
