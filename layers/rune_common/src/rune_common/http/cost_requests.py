"""From an HTTP request to an estimate's or a simulation's (jobs-api.md 7.1, 7.2)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response

from rune_common.domain.estimates import EstimateRequest
from rune_common.domain.finops import FinopsRequest
from rune_common.http.body import RawBody, json_object
from rune_common.http.schemas.estimate import parse_estimate
from rune_common.http.schemas.simulation import MAX_PERIOD_DAYS, MAX_RUNS_PER_PERIOD, parse_simulation


def estimate_request(raw: RawBody, response: Response) -> EstimateRequest:
    """Raises InvalidRequest and its kinds; names the ignored fields in a header of the answer."""
    request, ignored = parse_estimate(json_object(raw))
    _name_ignored(ignored, response)
    return request


def simulation_request(
    request: Request,
    raw: RawBody,
    response: Response,
    agent: Annotated[str | None, Query()] = None,
    suite: Annotated[str | None, Query(description="a benchmark's template")] = None,
    template_hash: Annotated[str | None, Query(description="the same as `suite`")] = None,
    gpu: Annotated[str | None, Query()] = None,
    model: Annotated[str | None, Query()] = None,
    runs_per_period: Annotated[int | None, Query(ge=1, le=MAX_RUNS_PER_PERIOD)] = None,
    period_days: Annotated[int | None, Query(ge=1, le=MAX_PERIOD_DAYS)] = None,
) -> FinopsRequest:
    """Parameters from the query; a POST may have them in its body, which counts where both name one."""
    members: dict[str, Any] = {
        "agent": agent,
        "suite": suite or template_hash,
        "gpu": gpu,
        "model": model,
        "runs_per_period": runs_per_period,
        "period_days": period_days,
    }
    if request.method == "POST":
        given = json_object(raw).members
        named_suite = {"suite": None} if given.get("template_hash") and not given.get("suite") else {}
        members |= {**named_suite, **{name: value for name, value in given.items() if value is not None}}
    asked, ignored = parse_simulation(members)
    _name_ignored(ignored, response)
    return asked


EstimateAsked = Annotated[EstimateRequest, Depends(estimate_request)]
SimulationAsked = Annotated[FinopsRequest, Depends(simulation_request)]


def _name_ignored(names: tuple[str, ...], response: Response) -> None:
    if names:
        response.headers["Rune-Ignored-Fields"] = ",".join(names)
