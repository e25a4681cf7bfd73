"""Where projections of cost come from: a server, or this process. The commands know only `CostSource`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from rune.cli.backends import HTTP, open_client
from rune.cli.client import BAD_ANSWER, JobsClient
from rune.cli.failures import CliFailure
from rune.cli.invocation import Invocation
from rune.cli.product_errors import product_errors

Answer = dict[str, Any]


class CostSource(Protocol):
    """Requests and answers are those of jobs-api.md 7.1 and 7.2. Raises CliFailure."""

    def estimate(self, request: Mapping[str, Any]) -> Answer: ...
    def simulate(self, request: Mapping[str, Any]) -> Answer: ...


@dataclass(frozen=True, slots=True)
class ServerCosts:
    """A Rune server's answers."""

    client: JobsClient

    def estimate(self, request: Mapping[str, Any]) -> Answer:
        answer = self.client.estimate(request)
        known = _is_number(answer.get("projected_cost_usd", "")) or answer.get("unpriced") is True
        return _expected(answer, known and isinstance(answer.get("cost_driver"), str))

    def simulate(self, request: Mapping[str, Any]) -> Answer:
        answer = self.client.simulate(request)
        return _expected(answer, _is_number(answer.get("total_cost_usd")))


@dataclass(frozen=True, slots=True)
class LocalCosts:
    """The same from this process: no server, and nothing of the local stack is started.

    A session of this process keeps no runs, so a simulation has no history to go by.
    """

    environ: Mapping[str, str]

    def estimate(self, request: Mapping[str, Any]) -> Answer:
        from rune_common.adapters.price_table_file import read_price_table
        from rune_common.http.body import json_object
        from rune_common.http.schemas.estimate import parse_estimate
        from rune_common.settings import Settings
        from rune_common.usecases.estimate_cost import estimate_cost

        with product_errors():
            settings = Settings.from_env(self.environ)
            asked, _ = parse_estimate(json_object(json.dumps(request).encode()))
            prices = read_price_table(settings.price_table)
            found = estimate_cost(asked, prices=prices, default_max_dph=settings.vastai_max_dph)
        return found.document()

    def simulate(self, request: Mapping[str, Any]) -> Answer:
        from rune_common.domain.finops import simulate
        from rune_common.http.schemas.simulation import parse_simulation
        from rune_common.settings import Settings

        with product_errors():
            asked, _ = parse_simulation(request)
            settings = Settings.from_env(self.environ)
            return simulate(asked, (), default_model=settings.default_model).document()


@contextmanager
def open_costs(invocation: Invocation) -> Iterator[CostSource]:
    """The configured source."""
    if invocation.configuration.text("backend") != HTTP:
        yield LocalCosts(invocation.surroundings.environ)
        return
    with open_client(invocation) as client:
        yield ServerCosts(client)


def _expected(answer: Answer, fits: bool) -> Answer:
    if not fits:
        raise CliFailure(BAD_ANSWER, code="bad_answer")
    return answer


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
