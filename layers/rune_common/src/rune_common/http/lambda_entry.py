"""The entry of a Lambda function that answers HTTP."""

from __future__ import annotations

import os
from collections.abc import Callable, MutableMapping
from typing import Any

from fastapi import APIRouter
from mangum import Mangum

from rune_common.http.app import make_app
from rune_common.http.audit import configure_logging
from rune_common.settings import Settings
from rune_common.wiring import Services, wire

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def http_function(
    *routers: APIRouter,
    environ: MutableMapping[str, str] | None = None,
    build: Callable[[Settings], Services] = wire,
) -> Handler:
    """A Lambda handler for these routers. Reads the environment, so call it only from functions/.

    Seeded tokens leave the environment at once: only their hashes are kept (jobs-api.md 2).
    """
    variables = os.environ if environ is None else environ
    settings = Settings.from_env(variables)
    variables.pop("RUNE_API_TOKENS", None)
    configure_logging(settings.log_level)
    return Mangum(make_app(*routers, services=build(settings)), lifespan="off")
