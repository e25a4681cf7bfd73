"""`vastai-list-models`, `ollama-list-models` = `llm-list-models`: which models there are (jobs-api.md 15)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from rune.cli import options
from rune.cli.failures import UsageProblem
from rune.cli.invocation import Invocation, current
from rune.cli.printing import one_line, without_credentials


def list_vastai_models(
    context: typer.Context,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """List the models whose size is known, with the GPU memory and disk that a rented GPU needs for them."""
    from rune.cli.model_source import open_models

    invocation = current(context)
    invocation.begin("vastai-list-models", json_output, debug)
    with open_models(invocation) as source:
        found = source.catalog()
    if not invocation.json:
        columns = ("name", "vram_mb", "required_disk_gb")
        rows = [tuple(_cell(each.get(column)) for column in columns) for each in found["models"]]
        _show(invocation, ("Model", "VRAM (MB)", "Disk (GB)"), rows, numbers_from=1)
    invocation.succeed(result=found)


def list_llm_models(
    context: typer.Context,
    backend_url: options.BackendUrl = None,
    backend_type: options.BackendType = None,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """List the models of a model server and which of them are loaded. The address is required."""
    from rune.cli.model_source import open_models

    invocation = current(context)
    invocation.begin(context.info_name or "llm-list-models", json_output, debug)
    configuration = invocation.configuration
    url = configuration.text("backend_url", backend_url)
    if not url:
        raise UsageProblem("Missing option '--backend-url'", hint="or set RUNE_BACKEND_URL")
    with open_models(invocation) as source:
        found = source.of_server(url, configuration.text("backend_type", backend_type))
    if not invocation.json:
        running = set(found["running_models"])
        names = sorted({*found["models"], *running})
        rows = [(str(name), "yes" if name in running else "") for name in names]
        invocation.note(f"Models of {without_credentials(str(found.get('backend_url', url)))}")
        _show(invocation, ("Model", "Loaded"), rows)
    invocation.succeed(result=found)


def _show(
    invocation: Invocation, headings: Sequence[str], rows: Sequence[Sequence[str]], *, numbers_from: int = 99
) -> None:
    from rich.table import Table

    if not rows:
        invocation.note("No models.")
        return
    table = Table()
    for place, heading in enumerate(headings):
        kind: dict[str, Any] = {"justify": "right"} if place >= numbers_from else {"overflow": "fold"}
        table.add_column(heading, **kind)
    for row in rows:
        table.add_row(*(one_line(cell) for cell in row))
    invocation.out.print(table, markup=False, highlight=False)


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
