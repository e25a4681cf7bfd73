"""The OpenAPI document tells what the routers do."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from rune_common.http.app import make_app, openapi
from rune_common.http.routes import ENDPOINTS, ROUTERS

DOCUMENT = json.loads(openapi())


def operations():
    return {
        operation["operationId"]: operation
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
    }


def test_the_document_has_the_same_bytes_each_time():
    assert openapi() == openapi()


def test_every_operation_is_named_after_its_endpoint():
    assert set(ENDPOINTS) <= set(operations())
    for name in operations():
        assert any(name == endpoint or name.startswith(f"{endpoint}_") for endpoint in ENDPOINTS)


def test_every_router_serves_the_operation_of_its_name():
    for endpoint, router in ROUTERS.items():
        paths = json.loads(openapi(router))["paths"]
        assert endpoint in {each["operationId"] for methods in paths.values() for each in methods.values()}


def test_every_reference_leads_to_a_schema():
    schemas = DOCUMENT["components"]["schemas"]

    def references(node):
        if isinstance(node, dict):
            yield from [node["$ref"]] if "$ref" in node else []
            node = list(node.values())
        for each in node if isinstance(node, list) else []:
            yield from references(each)

    found = set(references(DOCUMENT))
    assert {name.rpartition("/")[2] for name in found} <= set(schemas)
    assert "#/components/schemas/SubmitAgentJob" in found
    assert "#/components/schemas/JobView" in found


def test_the_request_model_lists_its_fields_and_limits():
    fields = DOCUMENT["components"]["schemas"]["SubmitAgentJob"]
    assert fields["required"] == ["question"]
    assert fields["properties"]["question"]["maxLength"] == 100_000
    assert fields["properties"]["timeout_seconds"]["maximum"] == 14_400


def test_errors_are_described_in_our_own_dialect():
    assert "HTTPValidationError" not in json.dumps(DOCUMENT)
    for operation in operations().values():
        assert "422" not in operation["responses"]
        assert "default" in operation["responses"]


async def test_a_server_with_docs_serves_the_same_document(services):
    app = make_app(*ROUTERS.values(), services=services, docs=True)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://rune") as client:
        for _ in range(2):
            served = (await client.get("/openapi.json")).json()
            assert served.pop("info")["version"] == "9.9.9"
            assert served == {name: part for name, part in DOCUMENT.items() if name != "info"}


async def test_a_server_without_docs_serves_none(client):
    assert (await client.get("/openapi.json")).status_code == 404
    assert (await client.get("/docs")).status_code == 404


def test_every_endpoint_has_its_function():
    functions = Path(__file__).parents[2] / "functions"
    for endpoint in ENDPOINTS:
        assert (functions / endpoint / "app.py").is_file()
