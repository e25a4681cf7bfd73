"""
The reference page of the command line, made from the application itself.

`python -m rune.cli.reference` renews it, `--check` compares.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from rune.cli.app import app
from rune.cli.config_keys import KEYS, Kind
from rune.local.functions import ROOT
from rune.local.generated import write_or_check

HEAD = """# Command line

`rune` and `python -m rune` are the same. Global options stand before the command; `--debug` and `--json` may
also stand after it.

This page is made by `python -m rune.cli.reference`.
"""

EXIT_CODES = """
## Exit codes

| Code | Meaning |
|---|---|
| 0 | done, or the offered instance was not wanted |
| 1 | a handled error, a job that failed or was cancelled, a missing answer |
| 2 | the command line or a variable does not fit |
| 130 | Ctrl-C; a job that was waited for is asked to stop, and waited for: 10 s; in local mode 130 s |
| 143 | SIGTERM; the same |

## Renting

With `--vastai` the projected cost for `--timeout` is shown first. Above `RUNE_SPEND_WARNING_THRESHOLD` dollars
(5.00) you are asked; where nobody can be asked (no terminal, `CI` is set, `--json`) that needs `--yes` or
`RUNE_YES`. A cost that is not known is refused, also with `--yes`. In local mode you are then asked about the
offer that was chosen; a no is exit code 0. What this machine rents is written to `~/.rune/instances.jsonl`
before it is rented, under the name in `~/.rune/deployment_id`.

## Output

With `--json` stdout holds exactly one object
`{"ok", "command", "job_id"?, "status"?, "result"?, "error"?, "code"?}`; everything else is on stderr.
"""

CONFIGURATION = """
## Configuration file

Precedence: option, environment, `./rune.yaml` or `./rune.yml`, `~/.rune/config.yaml` or `~/.rune/config.yml`,
built-in value. `rune init` writes a commented file, `rune config` shows the merged values and their sources.

```yaml
version: "1"
defaults:
  model: llama3.1:8b
profiles:
  server:
    backend: http
    api_base_url: https://rune.example
```

A profile, chosen by `--profile` or `RUNE_PROFILE`, goes over the defaults; the project's file goes over the
home folder's, key by key. Secrets (`api_token`, `vast_api_key`) in a file are an error: set `RUNE_API_TOKEN`
and `VAST_API_KEY`. A kubeconfig named in a file is used in local mode only; it is never sent to a server.

| Key | Variable | Built-in value | Meaning |
|---|---|---|---|
"""


def reference() -> str:
    """The page as Markdown."""
    # The names of commands and options are those of Typer's own classes, which are not public.
    root: Any = get_command(app)
    parts = [HEAD, "## Global options\n", *_options(root)]
    for path, command in _commands(root, "rune"):
        parts += [f"\n## `{path}`\n", _text(command.help), *_arguments(path, command), *_options(command)]
    return "\n".join([*parts, EXIT_CODES.rstrip()]) + "\n" + CONFIGURATION + _keys()


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _arguments(path: str, command: Any) -> Iterator[str]:
    names = [each.name.upper() for each in command.params if each.param_type_name == "argument"]
    yield f"\n```\n{' '.join([path, '[OPTIONS]', *names])}\n```\n"


def _options(command: Any) -> Iterator[str]:
    yield "| Option | Meaning |"
    yield "|---|---|"
    for each in command.params:
        if each.param_type_name == "option" and not each.hidden:
            names = ", ".join(f"`{name}`" for name in [*each.opts, *each.secondary_opts])
            shown = each.show_default and each.default not in {None, False}
            default = getattr(each.default, "value", each.default)
            yield f"| {names} | {_text(each.help)}{f' (default {default})' if shown else ''} |"


def _text(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("|", "\\|")


def _keys() -> str:
    rows = []
    for key in KEYS.values():
        default = str(key.default).lower() if key.kind is Kind.FLAG else str(key.default)
        shown = "–" if key.default is None else f"`{default}`"
        rows.append(f"| `{key.name}` | `{key.variable}` | {shown} | {key.meaning} |\n")
    return "".join(rows)


def main() -> int:
    page = ROOT / "docs" / "reference" / "cli.md"
    return write_or_check({page: reference()}, check="--check" in sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
