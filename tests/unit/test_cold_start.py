"""A function loads what its own route needs, and nothing that costs more than a request."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

LOADED = """
import json, sys
from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import {endpoint}
import gc
print(json.dumps([gc.isenabled(), sorted(sys.modules)]))
"""
HEAVY = {
    "boto3",
    "botocore",
    "cryptography",
    "yaml",
    "httpx",
    "moto",
    "aws_lambda_powertools",
    "grpc",
    "uvicorn",
}


@pytest.mark.parametrize("endpoint", ["read_job", "submit_job"])
def test_a_route_loads_neither_its_neighbours_nor_a_heavy_library(endpoint):
    code = LOADED.format(endpoint=endpoint)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    collecting, loaded = json.loads(ran.stdout)
    assert collecting, "garbage is collected again"
    assert HEAVY.isdisjoint(loaded)
    routes = {name.rpartition(".")[2] for name in loaded if name.startswith("rune_common.http.routes.")}
    assert routes == {endpoint}
    assert "rune_common.domain.redaction_rules" not in loaded


def test_models_are_completed_when_first_used():
    code = (
        "import rune_common.http.routes.submit_job\n"
        "from fastapi.openapi.models import OpenAPI\n"
        "print(OpenAPI.__pydantic_complete__)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
