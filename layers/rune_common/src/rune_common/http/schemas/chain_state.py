"""A chain's graph on the wire (jobs-api.md 8)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field

from rune_common.domain.chains import ChainState, edges, overall_status


class ChainNodeView(BaseModel):
    """A step. Times in epoch seconds, null until known."""

    id: str
    agent_name: str
    status: Literal["pending", "running", "success", "failed", "skipped"]
    started_at: float | None
    finished_at: float | None
    error: str | None


class ChainEdgeView(BaseModel):
    """From a dependency to what depends on it."""

    source: str = Field(serialization_alias="from")
    target: str = Field(serialization_alias="to")


class ChainStateView(BaseModel):
    run_id: str
    nodes: list[ChainNodeView]
    edges: list[ChainEdgeView]
    overall_status: str

    @classmethod
    def of(cls, run_id: str, chain: ChainState) -> Self:
        return cls(
            run_id=run_id,
            nodes=[
                ChainNodeView(
                    id=step.name,
                    agent_name=step.agent,
                    status=step.state.value,
                    started_at=None if step.started_at is None else step.started_at / 1000,
                    finished_at=None if step.finished_at is None else step.finished_at / 1000,
                    error=step.error,
                )
                for step in chain.steps
            ],
            edges=[ChainEdgeView(source=source, target=target) for source, target in edges(chain)],
            overall_status=overall_status(chain),
        )
