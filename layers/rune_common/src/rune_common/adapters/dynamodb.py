"""The stores on DynamoDB and the client that they share."""

from __future__ import annotations

from rune_common.adapters.dynamodb_access import DynamoFailureWindow, DynamoTokenStore
from rune_common.adapters.dynamodb_client import TableClient, connect
from rune_common.adapters.dynamodb_metrics import DynamoMetricsStore
from rune_common.adapters.dynamodb_runs import DynamoRunStore
from rune_common.adapters.dynamodb_settings import DynamoSettingsStore

__all__ = [
    "DynamoFailureWindow",
    "DynamoMetricsStore",
    "DynamoRunStore",
    "DynamoSettingsStore",
    "DynamoTokenStore",
    "TableClient",
    "connect",
]
