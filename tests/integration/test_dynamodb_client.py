"""The table client: vendor errors in our words, and what happens when the network or the service fails."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydynox import DynamoDBClient
from pydynox import exceptions as vendor
from tests.integration.conftest import REGION
from tests.integration.run_samples import (
    at_once,
    stored,
)

from rune_common.adapters.dynamodb import DynamoRunStore
from rune_common.adapters.dynamodb_client import (
    ERRORS,
    ConditionFailed,
    PydynoxTables,
    TransactionRefused,
    Write,
    connect,
    translated,
)
from rune_common.adapters.memory import MemoryBlobStore, MemorySealer
from rune_common.domain.errors import RuneError, Unavailable

KEY = {"pk": "a", "sk": "b"}
PUT = Write("put", item={**KEY})
NOT_USED = {
    "LockNotAcquired",
    "LockLost",
    "LockReleaseError",
    "EncryptionException",
    "S3AttributeException",
    "S3Exception",
}
"""Errors of the client's locks, field encryption and S3 attributes."""


class Service:
    """Answers every request with one error, or with silence, and counts the requests and connections."""

    def __init__(self) -> None:
        self.code, self.message, self.status = "InternalServerError", "text", 500
        self.answers = None
        self.requests = 0
        self.peers = set()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                service.requests += 1
                service.peers.add(self.client_address)
                status, body = service.answer()
                if not status:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("content-type", "application/x-amz-json-1.0")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def answer(self):
        if self.answers:
            return self.answers.pop(0)
        return self.status, error_body(self.code, self.message)

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def error_body(code, message):
    return json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}).encode()


@pytest.fixture
def service():
    found = Service()
    yield found
    found.close()


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def client(service, pauses):
    """Without the vendor's own retries, so that one call is one request."""
    vendor_client = DynamoDBClient(
        region=REGION,
        endpoint_url=service.url,
        access_key="x",
        secret_key="x",
        max_retries=0,
        connect_timeout=0.3,
        read_timeout=0.3,
    )
    return PydynoxTables(vendor_client, sleep=pauses.append)


def test_every_vendor_error_that_can_occur_is_in_the_table():
    found = {kind.__name__ for kind in with_subclasses(vendor.PydynoxException)}
    assert found == {kind.__name__ for kind in ERRORS} | NOT_USED


def with_subclasses(kind):
    return {kind}.union(*map(with_subclasses, kind.__subclasses__()))


@pytest.mark.parametrize("kind", sorted(ERRORS, key=lambda kind: kind.__name__))
def test_each_is_translated_without_its_text(kind):
    ours = translated(kind("arn:aws:dynamodb:secret-name"))
    assert isinstance(ours, ERRORS[kind] if kind is not vendor.TransactionCanceledException else Unavailable)
    assert "secret-name" not in str(ours)


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("ProvisionedThroughputExceededException", 400, Unavailable),
        ("ThrottlingException", 400, Unavailable),
        ("RequestLimitExceeded", 400, Unavailable),
        ("LimitExceededException", 400, Unavailable),
        ("InternalServerError", 500, Unavailable),
        ("ServiceUnavailable", 503, Unavailable),
        ("TransactionInProgressException", 400, Unavailable),
        ("ReplicatedWriteConflictException", 400, Unavailable),
        ("AccessDeniedException", 400, Unavailable),
        ("UnrecognizedClientException", 400, Unavailable),
        ("ExpiredTokenException", 400, Unavailable),
        ("InvalidSignatureException", 400, Unavailable),
        ("ResourceNotFoundException", 400, Unavailable),
        ("ConditionalCheckFailedException", 400, ConditionFailed),
        ("ValidationException", 400, RuneError),
        ("IdempotentParameterMismatchException", 400, RuneError),
        ("ItemCollectionSizeLimitExceededException", 400, RuneError),
    ],
)
def test_each_answer_of_the_service_becomes_one_of_our_errors(service, client, code, status, expected):
    service.code, service.status = code, status
    for call in (
        lambda: client.get("table", KEY),
        lambda: client.get_many("table", [KEY], consistent=True),
        lambda: next(client.query("table", "pk = :of", {":of": "a"}, page=1)),
        lambda: client.put("table", KEY),
        lambda: client.update("table", KEY, "SET a = :a", {":a": 1}),
        lambda: client.transact("table", [PUT]),
    ):
        with pytest.raises(RuneError) as caught:
            call()
        assert type(caught.value) is expected
        assert isinstance(caught.value.__cause__, vendor.PydynoxException)


def test_a_refused_transaction_tells_which_of_its_conditions_failed(tables, table_clients):
    client = table_clients["pydynox"]
    client.put(tables.identity, {"pk": "1", "sk": "1"})
    client.put(tables.identity, {"pk": "3", "sk": "3"})
    writes = [
        Write("put", item={"pk": str(at), "sk": str(at)}, condition="attribute_not_exists(pk)")
        for at in range(5)
    ]
    with pytest.raises(TransactionRefused) as caught:
        client.transact(tables.identity, writes)
    assert caught.value.failed == {1, 3}
    assert client.get(tables.identity, {"pk": "0", "sk": "0"}) is None


CANCELLED = "Transaction cancelled, please refer cancellation reasons for specific reasons "


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("TransactionCanceledException", CANCELLED + "[TransactionConflict, None]"),
        ("TransactionCanceledException", CANCELLED + "[None, ThrottlingError]"),
        ("TransactionConflictException", "Transaction is ongoing for the item"),
    ],
)
def test_conflicts_between_transactions_are_tried_again_with_growing_pauses(
    service, client, pauses, code, message
):
    conflict, done = (400, error_body(code, message)), (200, b"{}")
    service.answers = [conflict, conflict, conflict, done]
    client.transact("table", [PUT])
    assert service.requests == 4
    assert len(pauses) == 3
    assert all(0 <= pause <= 0.01 * 2**turn for turn, pause in enumerate(pauses))
    service.code, service.message, service.status = code, message, 400
    with pytest.raises(Unavailable):
        client.transact("table", [PUT])
    assert max(pauses) <= 0.5


def test_a_failed_condition_outweighs_a_conflict_and_is_not_tried_again(service, client):
    service.code, service.status = "TransactionCanceledException", 400
    service.message = CANCELLED + "[None, ConditionalCheckFailed, TransactionConflict]"
    with pytest.raises(TransactionRefused) as caught:
        client.transact("table", [PUT, PUT, PUT])
    assert caught.value.failed == {1}
    assert service.requests == 1


def test_a_refused_update_carries_what_is_stored(tables, table_clients):
    client = table_clients["pydynox"]
    client.put(tables.identity, {**KEY, "n": 5})
    for key, expected in ((KEY, {**KEY, "n": 5}), ({"pk": "x", "sk": "x"}, None)):
        with pytest.raises(ConditionFailed) as caught:
            client.update(tables.identity, key, "SET n = :n", {":n": 6, ":old": 4}, condition="n = :old")
        assert caught.value.item == expected


def test_nobody_listening_is_unavailable(pauses):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        with pytest.raises(Unavailable):
            connect(region=REGION, endpoint=url).get("table", KEY)


def test_silence_is_unavailable(service, client):
    release = threading.Event()
    service.answer = lambda: (0, b"silence" if release.wait(10) else b"")
    with pytest.raises(Unavailable):
        client.get("table", KEY)
    release.set()


def test_values_come_back_as_they_were(tables, table_clients):
    client = table_clients["pydynox"]
    item = {
        **KEY,
        "bytes": b"\x00\xff",
        "float": 0.1,
        "small": 1e-100,
        "big": 2**100,
        "none": None,
        "no": False,
        "empty": "",
        "text": "ü 😀 \u2028 \x00",
        "list": ["a", 1, 1.5, [], {}],
        "map": {"deep": {"er": [True]}},
    }
    client.put(tables.identity, item)
    assert client.get(tables.identity, KEY) == item


def test_forty_threads_share_few_connections(service, client):
    service.answers = [(200, b'{"Item": {"n": {"N": "1"}}}') for _ in range(400)]
    outcomes = at_once(40, lambda _: [client.get("table", KEY) for _ in range(10)])
    assert outcomes == [[{"n": 1}] * 10] * 40
    assert len(service.peers) <= 60


def test_an_unreachable_table_is_unavailable_to_the_stores_caller(service, client):
    service.code, service.status = "ServiceUnavailable", 503
    store = DynamoRunStore("table", client, sealer=MemorySealer(), blobs=MemoryBlobStore(), retention_days=90)
    with pytest.raises(Unavailable):
        stored(store)
