"""`info`, `init` and `config`: what is installed here and how it is set up (jobs-api.md 15 and 16)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rune.cli import options
from rune.cli.config_file import PROJECT_NAMES, existing_project_file
from rune.cli.config_keys import KEYS, Kind
from rune.cli.failures import CliFailure
from rune.cli.invocation import current
from rune.cli.printing import without_credentials


def info(
    context: typer.Context, debug: options.DebugFlag = None, json_output: options.JsonFlag = None
) -> None:
    """Show versions, folders and what this machine has for running agents; no secrets."""
    from rune.cli.machine import facts

    invocation = current(context)
    invocation.begin("info", json_output, debug)
    found = facts(invocation.surroundings, invocation.configuration, token_set=bool(invocation.api_token))
    if not invocation.json:
        width = max(map(len, found))
        for name, value in found.items():
            shown = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
            label = name.replace("_", " ")
            invocation.say(f"{label:<{width}}  {'not found' if shown is None else shown}")
    invocation.succeed(result=found)


def init(
    context: typer.Context,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite a file that exists.", show_default=False)
    ] = False,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Write a commented rune.yaml into this folder; one that exists stays as it is."""
    invocation = current(context)
    invocation.begin("init", json_output, debug)
    folder = invocation.surroundings.working_directory
    existing = existing_project_file(folder)
    if existing is not None and not force:
        text, written = f"{existing.name} exists and stays as it is; --force overwrites it", False
    else:
        path = folder / PROJECT_NAMES[0]
        text, written = f"wrote {path.name}", True
        try:
            path.write_text(starter_file(), encoding="utf-8")
        except OSError as exc:
            raise CliFailure(f"{path.name} cannot be written", code="config") from exc
    if not invocation.json:
        invocation.say(text)
    name = PROJECT_NAMES[0] if written or existing is None else existing.name
    invocation.succeed(result={"file": name, "written": written})


def starter_file() -> str:
    """A valid file in which every key stands as a comment with its built-in value."""
    import yaml

    lines = [
        "# Rune's configuration for this folder.",
        "# Precedence: option, environment, this file, ~/.rune/config.yaml, built-in.",
        "# Secrets do not belong here: set RUNE_API_TOKEN and VAST_API_KEY in the environment.",
        'version: "1"',
        "",
        "defaults:",
        "  agent: holmes",
    ]
    for key in KEYS.values():
        if key.name != "agent":
            value = "" if key.default is None else yaml.safe_dump(key.default).partition("\n")[0]
            lines += [f"  # {key.meaning}", f"  # {key.name}: {value}".rstrip()]
    lines += [
        "",
        "# Chosen with --profile or RUNE_PROFILE; a profile goes over the defaults.",
        "profiles:",
        "  server:",
        "    backend: http",
        f"    api_base_url: {KEYS['api_base_url'].default}",
    ]
    return "\n".join(lines) + "\n"


def config(
    context: typer.Context, debug: options.DebugFlag = None, json_output: options.JsonFlag = None
) -> None:
    """Show the merged configuration and where each value comes from; no secrets."""
    from rich.table import Table

    invocation = current(context)
    invocation.begin("config", json_output, debug)
    configuration = invocation.configuration
    values: dict[str, dict[str, Any]] = {}
    for name, key in KEYS.items():
        setting = configuration.get(name)
        shown = without_credentials(setting.text) if name.endswith("_url") else setting.value
        values[name] = {"value": shown or None if key.kind is Kind.TEXT else shown, "source": setting.source}
    files = [str(path) for path in configuration.files.read]
    token = bool(invocation.api_token)
    if not invocation.json:
        table = Table()
        for heading in ("Key", "Value", "Source"):
            table.add_column(heading, overflow="fold")
        for name, row in values.items():
            value = row["value"]
            text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            table.add_row(name, text, row["source"])
        table.add_row("api_token", "(set)" if token else "(not set)", "never in a file")
        invocation.out.print(table, markup=False, highlight=False)
        invocation.say(f"profile: {invocation.profile or 'none'}")
        invocation.say(f"files: {', '.join(files) or 'none'}")
    result = {"profile": invocation.profile or None, "files": files, "api_token_set": token, "values": values}
    invocation.succeed(result=result)
