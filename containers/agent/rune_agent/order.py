"""What the supervisor hands to a child: one request, checked and resolved. Standard library only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Order:
    """
    One investigation. It goes to the child on stdin, as it may hold keys; nothing of it is in the
    environment. `shown_model`: the model's name without the library's prefix. `pins`: addresses that were
    checked for a host name, to which alone the child connects.
    """

    question: str
    model: str
    shown_model: str
    api_base: str | None
    api_key: str | None
    llm_args: Json
    backend_type: str
    context_window: int
    max_output_tokens: int
    llm_timeout_seconds: float
    timeout_seconds: float
    max_steps: int
    cluster: bool
    cluster_name: str | None
    pins: dict[str, list[str]]
    tool_approval: str
    behavior_controls: Json
    additional_system_prompt: str | None
    conversation_history: list[Json]
    images: list[Any]
    response_format: Json | None
    resume_state: Json | None
    tool_decisions: list[Json]
    carry: Json
    approval_key: str | None
    operator_toolsets: Json

    def document(self) -> Json:
        return asdict(self)
