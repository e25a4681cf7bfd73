"""The plan of a chain: a model server as for a benchmark, then its steps (jobs-api.md 8)."""

from __future__ import annotations

import json
from dataclasses import replace

from rune_common.domain.chain_rules import ChainSpec
from rune_common.domain.chains import first_state
from rune_common.domain.job_requests import WorkRequest
from rune_common.domain.jobs import resolve_agent
from rune_common.usecases.plan_job import Plan, Planning
from rune_common.usecases.plan_work import plan_work

MAX_SHOWN_BYTES = 16 * 1024
"""A chain above this stands in the log as one text, which can leave its event as a whole."""


def plan_chain(asked: WorkRequest, planning: Planning) -> Plan:
    """Raises InvalidRequest and its kinds."""
    plan = plan_work(asked, planning)
    found = [(step, resolve_agent(step.agent)) for step in (asked.chain or ChainSpec(())).steps]
    steps = tuple(replace(step, agent=agent) for step, (agent, _) in found)
    warnings = [code for _, (_, codes) in found for code in codes]
    spec = replace(asked.chain or ChainSpec(()), steps=steps)
    document = {name: value for name, value in plan.document.items() if name != "question"}
    text = json.dumps(spec.document(), ensure_ascii=False)
    shown = {"chain": text} if len(text.encode("utf-8", "replace")) > MAX_SHOWN_BYTES else {}
    return replace(
        plan,
        document={**document, "chain": spec.document()},
        warnings=tuple(dict.fromkeys((*plan.warnings, *warnings))),
        chain=first_state(spec),
        shown=shown,
    )
