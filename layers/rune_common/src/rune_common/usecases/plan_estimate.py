"""The plan of a `cost-estimate`: no model server, no agent, one calculation (jobs-api.md 7.1)."""

from __future__ import annotations

from dataclasses import asdict

from rune_common.domain.estimates import EstimateRequest
from rune_common.usecases.plan_job import Plan, Planning

TIMEOUT_SECONDS = 60


def plan_estimate(asked: EstimateRequest, planning: Planning) -> Plan:
    return Plan(asdict(asked), model=asked.model, timeout_seconds=TIMEOUT_SECONDS)
