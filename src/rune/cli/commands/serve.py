"""`serve`: the API on this machine, the same as `python -m rune.api` (jobs-api.md 15)."""

from __future__ import annotations

from typing import Annotated

import typer

from rune.cli import options
from rune.cli.invocation import current
from rune.cli.product_errors import product_errors


def serve(
    context: typer.Context,
    host: Annotated[str | None, options.configured("api_host")] = None,
    port: Annotated[int | None, options.configured("api_port")] = None,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Run the API server in the foreground until Ctrl-C."""
    invocation = current(context)
    invocation.begin("serve", json_output, debug)
    configuration = invocation.configuration
    address = configuration.text("api_host", host)
    number = configuration.get("api_port", port).value
    assert isinstance(number, int)
    with product_errors():
        code = invocation.surroundings.serve(address, number)
    if code == 0:
        invocation.succeed()
    raise typer.Exit(code)
