"""The one place that speaks to DynamoDB, and the one table of its errors.

Items are plain dicts: text, bytes, int, float, bool, None, lists and dicts of them. All calls block, are safe
to make from many threads, and share one pool of connections.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Literal, Protocol, TypeVar
from urllib.parse import urlsplit

from pydynox import DynamoDBClient
from pydynox import exceptions as vendor

from rune_common.domain.errors import Conflict, RuneError, Unavailable

Item = dict[str, Any]
Key = dict[str, str]
T = TypeVar("T")

CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0
CONFLICT_ATTEMPTS = 12
FIRST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.5


class ConditionFailed(Conflict):
    """A write's condition did not hold. `item` is what is stored there, None for nothing."""

    def __init__(self, item: Item | None = None) -> None:
        super().__init__(self.code)
        self.item = item


class TransactionRefused(Conflict):
    """Conditions of a transaction did not hold; `failed` has the positions of their writes."""

    def __init__(self, failed: frozenset[int]) -> None:
        super().__init__(self.code)
        self.failed = failed


class WriteContended(Unavailable):
    """Another transaction was at work on the same item."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a transaction. `condition` and `change` are expressions over `values`."""

    kind: Literal["put", "update", "delete"]
    item: Item = field(default_factory=dict)
    key: Key = field(default_factory=dict)
    change: str = ""
    condition: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


class TableClient(Protocol):
    """What the stores need of a client. Every method may raise Unavailable."""

    def get(self, table: str, key: Key) -> Item | None:
        """Strongly consistent."""
        ...

    def get_many(self, table: str, keys: Sequence[Key], *, consistent: bool) -> Sequence[Item]:
        """Those that exist, in no order. `keys` may be of any number, without repetition."""
        ...

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
        """Items in order of their sort key, fetched `page` at a time as they are asked for."""
        ...

    def put(self, table: str, item: Item) -> None: ...

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
        """The item as it then is; `names` stand for reserved words. Raises ConditionFailed."""
        ...

    def transact(self, table: str, writes: Sequence[Write]) -> None:
        """All of them or none. Raises TransactionRefused."""
        ...


ERRORS: Mapping[type[Exception], type[RuneError]] = {
    vendor.ConditionalCheckFailedException: ConditionFailed,
    vendor.TransactionCanceledException: TransactionRefused,
    vendor.ProvisionedThroughputExceededException: Unavailable,
    vendor.ConnectionException: Unavailable,
    vendor.CredentialsException: Unavailable,
    vendor.AccessDeniedException: Unavailable,
    vendor.ResourceNotFoundException: Unavailable,
    vendor.ResourceInUseException: Unavailable,
    vendor.PydynoxException: Unavailable,
    vendor.ValidationException: RuneError,
    vendor.SerializationException: RuneError,
    vendor.IdempotentParameterMismatchException: RuneError,
}
"""Vendor error to ours. What the service has no class for (its 5xx among them) is a plain PydynoxException;
the last three can only come from a wrong request, which is a bug."""

_REASONS = re.compile(r"\[([A-Za-z, ]+)\]\s*$")
_ONGOING = "Transaction is ongoing"


def translated(error: Exception) -> RuneError:
    """Our error for the vendor's: the first of its classes that the table names."""
    if isinstance(error, vendor.TransactionCanceledException):
        return _cancelled(str(error))
    if type(error) is vendor.PydynoxException and _ONGOING in str(error):
        return WriteContended("another transaction is at work on the item")
    kind = next(ERRORS[each] for each in type(error).__mro__ if each in ERRORS)
    if kind is ConditionFailed:
        return ConditionFailed(getattr(error, "item", None))
    return kind(f"the table answered {type(error).__name__}")


def _cancelled(message: str) -> RuneError:
    """Tell why a transaction was cancelled.

    The client passes on the service's sentence only; it ends with one reason per write, in their order:
    `[ConditionalCheckFailed, None, TransactionConflict]`.
    """
    found = _REASONS.search(message)
    reasons = [reason.strip() for reason in found[1].split(",")] if found else []
    failed = frozenset(at for at, reason in enumerate(reasons) if reason == "ConditionalCheckFailed")
    if failed:
        return TransactionRefused(failed)
    if any(reason in ("ValidationError", "ItemCollectionSizeLimitExceeded") for reason in reasons):
        return RuneError("the table refused a write of the transaction")
    return WriteContended("another transaction was at work on the same items")


class PydynoxTables:
    """TableClient on pydynox. Conflicts between transactions are tried again, with jitter.

    `sleep` waits for that many seconds.
    """

    def __init__(self, client: DynamoDBClient, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._sleep = sleep

    def get(self, table: str, key: Key) -> Item | None:
        return self._call(lambda: self._client.sync_get_item(table, key, consistent_read=True))

    def get_many(self, table: str, keys: Sequence[Key], *, consistent: bool) -> Sequence[Item]:
        if not keys:
            return ()
        return self._call(lambda: self._client.sync_batch_get(table, list(keys), consistent_read=consistent))

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
        found = self._client.sync_query(
            table,
            condition,
            expression_attribute_values=dict(values),
            page_size=page,
            index_name=index,
            scan_index_forward=forward,
            consistent_read=consistent,
        )
        while (item := self._call(lambda: next(found, None))) is not None:
            yield item

    def put(self, table: str, item: Item) -> None:
        self._call(lambda: self._client.sync_put_item(table, item))

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
        found = self._call(
            lambda: self._client.sync_update_item(
                table,
                key,
                update_expression=change,
                condition_expression=condition or None,
                expression_attribute_names=dict(names) if names else None,
                expression_attribute_values=dict(values),
                return_values_on_condition_check_failure=True,
                return_values="ALL_NEW",
            )
        )
        return found or {}

    def transact(self, table: str, writes: Sequence[Write]) -> None:
        operations = [_operation(table, write) for write in writes]
        self._call(lambda: self._client.sync_transact_write(operations))

    def _call(self, request: Callable[[], T]) -> T:
        for attempt in range(CONFLICT_ATTEMPTS):
            try:
                return request()
            except vendor.PydynoxException as exc:
                error = translated(exc)
                if not isinstance(error, WriteContended) or attempt == CONFLICT_ATTEMPTS - 1:
                    raise error from exc
            self._sleep(random.uniform(0, min(FIRST_PAUSE_SECONDS * 2**attempt, LONGEST_PAUSE_SECONDS)))
        raise AssertionError("the last attempt either answers or raises")


def _operation(table: str, write: Write) -> dict[str, Any]:
    found: dict[str, Any] = {"type": write.kind, "table": table}
    if write.kind == "put":
        found["item"] = write.item
    else:
        found["key"] = write.key
    if write.change:
        found["update_expression"] = write.change
    if write.condition:
        found["condition_expression"] = write.condition
    if write.values:
        found["expression_attribute_values"] = dict(write.values)
    return found


def connect(*, region: str, endpoint: str = "") -> PydynoxTables:
    """A client for the region's service, or for `endpoint`; nothing is sent before the first call.

    A database on loopback asks for no credentials, but a request must be signed with some.
    """
    local = bool(endpoint) and _on_loopback(endpoint)
    client = DynamoDBClient(
        region=region,
        endpoint_url=endpoint or None,
        access_key="local" if local else None,
        secret_key="local" if local else None,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
    )
    return PydynoxTables(client)


def _on_loopback(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
