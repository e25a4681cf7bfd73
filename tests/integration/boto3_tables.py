"""The table client on boto3: the reference beside the product's own, and the meter of what calls consume."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from rune_common.adapters.dynamodb_client import ConditionFailed, Item, Key, TransactionRefused, Write
from rune_common.domain.errors import Unavailable

ATTEMPTS = 20


class Boto3Tables:
    """`consumed` adds up the read and write units of every answer, until `reset`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lock = threading.Lock()
        self.reads = self.writes = 0.0

    def reset(self) -> None:
        self.reads = self.writes = 0.0

    def get(self, table: str, key: Key) -> Item | None:
        answer = self._call("get_item", TableName=table, Key=typed(key), ConsistentRead=True)
        return untyped(answer["Item"]) if "Item" in answer else None

    def get_many(self, table: str, keys: Sequence[Key], *, consistent: bool) -> Sequence[Item]:
        found: list[Item] = []
        for start in range(0, len(keys), 100):
            wanted = [typed(key) for key in keys[start : start + 100]]
            request = {table: {"Keys": wanted, "ConsistentRead": consistent}}
            answer = self._call("batch_get_item", RequestItems=request)
            found += [untyped(item) for item in answer["Responses"][table]]
        return found

    def query(
        self,
        table: str,
        condition: str,
        values: Mapping[str, Any],
        *,
        page: int,
        index: str | None = None,
        forward: bool = True,
        consistent: bool = False,
    ) -> Iterator[Item]:
        request: dict[str, Any] = {
            "TableName": table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": typed(values),
            "Limit": page,
            "ScanIndexForward": forward,
            "ConsistentRead": consistent,
        } | ({"IndexName": index} if index else {})
        while True:
            answer = self._call("query", **request)
            yield from map(untyped, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def put(self, table: str, item: Item) -> None:
        self._call("put_item", TableName=table, Item=typed(item))

    def update(
        self,
        table: str,
        key: Key,
        change: str,
        values: Mapping[str, Any],
        *,
        condition: str = "",
        names: Mapping[str, str] | None = None,
    ) -> Item:
        answer = self._call(
            "update_item",
            TableName=table,
            Key=typed(key),
            UpdateExpression=change,
            ExpressionAttributeValues=typed(values),
            ReturnValues="ALL_NEW",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **({"ConditionExpression": condition} if condition else {}),
            **({"ExpressionAttributeNames": dict(names)} if names else {}),
        )
        return untyped(answer["Attributes"])

    def transact(self, table: str, writes: Sequence[Write]) -> None:
        self._call("transact_write_items", TransactItems=[_transact_item(table, write) for write in writes])

    def _call(self, operation: str, **request: Any) -> Any:
        for _ in range(ATTEMPTS):
            try:
                answer = getattr(self._client, operation)(ReturnConsumedCapacity="TOTAL", **request)
            except ClientError as exc:
                _raise_translated(exc)
            else:
                self._meter(operation, answer.get("ConsumedCapacity", []))
                return answer
        raise Unavailable("conflicts without end")

    def _meter(self, operation: str, consumed: Any) -> None:
        units = sum(
            each["CapacityUnits"] for each in (consumed if isinstance(consumed, list) else [consumed])
        )
        with self._lock:
            if operation in ("get_item", "batch_get_item", "query"):
                self.reads += units
            else:
                self.writes += units


def _raise_translated(exc: ClientError) -> None:
    """Returns for a conflict that is to be tried again."""
    if exc.response["Error"]["Code"] == "ConditionalCheckFailedException":
        item = exc.response.get("Item")
        raise ConditionFailed(untyped(item) if item else None) from exc
    reasons = [reason["Code"] for reason in exc.response.get("CancellationReasons", [])]
    failed = frozenset(at for at, reason in enumerate(reasons) if reason == "ConditionalCheckFailed")
    if failed:
        raise TransactionRefused(failed) from exc
    if "TransactionConflict" not in reasons:
        raise exc


def _transact_item(table: str, write: Write) -> dict[str, Any]:
    found: dict[str, Any] = {"TableName": table}
    found |= {"Item": typed(write.item)} if write.kind == "put" else {"Key": typed(write.key)}
    found |= {"UpdateExpression": write.change} if write.change else {}
    found |= {"ConditionExpression": write.condition} if write.condition else {}
    found |= {"ExpressionAttributeValues": typed(write.values)} if write.values else {}
    return {write.kind.capitalize(): found}


def typed(item: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values as DynamoDB JSON."""
    return {name: TypeSerializer().serialize(_exact(value)) for name, value in item.items()}


def untyped(item: Mapping[str, Any]) -> Item:
    return {name: _natural(TypeDeserializer().deserialize(value)) for name, value in item.items()}


def _exact(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, dict):
        return {name: _exact(each) for name, each in value.items()}
    return [_exact(each) for each in value] if isinstance(value, list) else value


def _natural(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Binary):
        return value.value
    if isinstance(value, dict):
        return {name: _natural(each) for name, each in value.items()}
    return [_natural(each) for each in value] if isinstance(value, list) else value
