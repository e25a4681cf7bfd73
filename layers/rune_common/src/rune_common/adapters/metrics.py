"""Metrics as CloudWatch reads them out of a function's log: one line in the embedded metric format."""

from __future__ import annotations

import json
import sys
from typing import TextIO

NAMESPACE = "Rune"


def write_metric(name: str, value: int, *, stage: str, now_ms: int, out: TextIO | None = None) -> None:
    """A count under the dimension `stage`."""
    described = {
        "Namespace": NAMESPACE,
        "Dimensions": [["stage"]],
        "Metrics": [{"Name": name, "Unit": "Count"}],
    }
    line = {"_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [described]}, "stage": stage, name: value}
    print(json.dumps(line), file=out or sys.stdout, flush=True)
