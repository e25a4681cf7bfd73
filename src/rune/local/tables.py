"""The deployed template's tables, made in the local database: one definition for both (design.md 8)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

TABLE_TYPE = "AWS::DynamoDB::Table"
CREATED = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")


class _TemplateLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags. What they stand for is not needed here: it becomes None."""


_TemplateLoader.add_multi_constructor("!", lambda loader, suffix, node: None)


def table_definitions(template: Path) -> dict[str, dict[str, Any]]:
    """The properties of the template's tables by logical id, e.g. `RunsTable`."""
    document = yaml.load(template.read_text(), Loader=_TemplateLoader)
    resources = document["Resources"].items()
    return {name: each["Properties"] for name, each in resources if each["Type"] == TABLE_TYPE}


def create_tables(template: Path, names: Mapping[str, str], *, endpoint: str, region: str) -> None:
    """Create what the template defines and the database lacks. `names` is table name by logical id.

    Raises KeyError for a logical id that the template does not have.
    """
    make_tables(table_definitions(template), names, table_admin(endpoint, region))


def make_tables(definitions: Mapping[str, Mapping[str, Any]], names: Mapping[str, str], client: Any) -> None:
    """Keys, indexes, stream and time to live of each table; one that exists is left as it is."""
    for logical_id, name in names.items():
        _create(client, name, definitions[logical_id])


def _create(client: Any, name: str, properties: Mapping[str, Any]) -> None:
    request = {key: properties[key] for key in CREATED if key in properties}
    stream = properties.get("StreamSpecification")
    if stream:
        request["StreamSpecification"] = {"StreamEnabled": True, **stream}
    with suppress(client.exceptions.ResourceInUseException):
        client.create_table(TableName=name, **request)
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    expiry = properties.get("TimeToLiveSpecification")
    if expiry and not _expires(client, name):
        client.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)


def _expires(client: Any, name: str) -> bool:
    found = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    return found.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")


def table_admin(endpoint: str, region: str) -> Any:
    """A boto3 client that can make tables; the stores' own client only reads and writes them."""
    import boto3  # it takes a third of a second to load, and only a starting local stack needs it

    return boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
