"""What a benchmark says at its end: one JSON object on the last line of its output."""

from __future__ import annotations

import argparse
import json
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}

Measure = Callable[[bool], Mapping[str, float]]
"""Takes whether to be quick, which shortens the work and not the way it is done; gives metric to number."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`aims`: metric to a comparison such as `<= 100`; metrics without one are there to be read."""

    benchmark: str
    results: Mapping[str, float]
    aims: Mapping[str, str]

    @property
    def met(self) -> dict[str, bool]:
        return {metric: _holds(self.results[metric], aim) for metric, aim in self.aims.items()}

    def line(self) -> str:
        return json.dumps(
            {
                "benchmark": self.benchmark,
                "results": dict(self.results),
                "aims": dict(self.aims),
                "met": self.met,
            }
        )


def read_outcome(output: str) -> Outcome:
    """The outcome at the end of a benchmark's output. Raises ValueError or KeyError when there is none."""
    lines = output.strip().splitlines()
    if not lines:
        raise ValueError("the benchmark printed nothing")
    document = json.loads(lines[-1])
    return Outcome(document["benchmark"], document["results"], document["aims"])


def run_benchmark(
    name: str, aims: Mapping[str, str], measure: Measure, arguments: Sequence[str] | None = None
) -> int:
    """The command line of one benchmark. Returns 0 also when an aim is missed: that is a result."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--quick", action="store_true", help="a short form, to see that it runs")
    quick = parser.parse_args(arguments).quick
    found = {metric: _readable(value) for metric, value in measure(quick).items()}
    print(Outcome(name, found, aims).line(), flush=True)
    return 0


def _holds(value: float, aim: str) -> bool:
    comparison, bound = aim.split()
    return _COMPARISONS[comparison](value, float(bound))


def _readable(value: float) -> float:
    """Three significant digits at least, and never more than the measurement is worth."""
    return round(value, 3 if abs(value) < 10 else 1)
