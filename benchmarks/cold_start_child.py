"""One cold start, alone in its process: `rune` is the submit function, the others what it is compared with.

Reads `{"event": …}` from standard input and prints `{"import_ms": …, "first_request_ms": …, "status": …}`,
the CPU time of all threads since this module began: the interpreter's own start is in neither side.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def main() -> None:
    kind, event = sys.argv[1], json.load(sys.stdin)
    began = time.process_time()
    handler = {"rune": _rune, "bare": _bare, "bare_with_call": _bare_with_call}[kind]()
    loaded = time.process_time()
    answer = handler(event, None)
    answered = time.process_time()
    print(
        json.dumps(
            {
                "import_ms": (loaded - began) * 1000,
                "first_request_ms": (answered - loaded) * 1000,
                "status": answer["statusCode"],
            }
        )
    )


def _rune() -> Handler:
    # The layer ships without it (layers/rune_common/Makefile).
    sys.modules["pydantic.v1"] = None  # type: ignore[assignment]
    # functions/submit_job is on the module path, as Lambda puts a function's folder there.
    import app  # type: ignore[import-not-found]

    handler: Handler = app.handler
    return handler


def _bare() -> Handler:
    """The usual function: FastAPI, Mangum and a boto3 client that is built at the start."""
    return _fastapi_function(calls=False)


def _bare_with_call() -> Handler:
    """The same, and the request makes one call with the client."""
    return _fastapi_function(calls=True)


def _fastapi_function(*, calls: bool) -> Handler:
    import os

    import boto3
    from fastapi import FastAPI
    from mangum import Mangum

    client = boto3.client("dynamodb")
    table = os.environ["RUNE_RUNS_TABLE"]
    application = FastAPI()

    @application.post("/v1/jobs/agentic-agent", status_code=202)
    def hello() -> dict[str, str]:
        if calls:
            client.get_item(TableName=table, Key={"pk": {"S": "hello"}, "sk": {"S": "world"}})
        return {"hello": "world"}

    handler: Handler = Mangum(application, lifespan="off")
    return handler


if __name__ == "__main__":
    main()
