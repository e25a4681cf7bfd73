"""`python -m rune.local.documents [--check]`: the reference pages that are made from the code."""

from __future__ import annotations

import dataclasses
import sys

from rune.local.functions import ROOT
from rune.local.generated import write_or_check
from rune_common.settings import Settings

INTRODUCTION = """# Settings

Every variable that the server, the functions and the agent's worker read. Lists are comma separated.
Booleans: `1`, `true`, `yes`, `on` / `0`, `false`, `no`, `off`. A variable that is empty counts as not set, except
for the address lists and kubeconfig folders of a local server, where empty means none. The command line's own
variables are in [cli.md](cli.md). This page is generated.

| variable | type | default | meaning | contract |
|---|---|---|---|---|
"""


def settings_page() -> str:
    return INTRODUCTION + "".join(
        f"| `{each.metadata['variable']}` | {_type(each.type)} | {_default(each.default)} "
        f"| {each.metadata['meaning']}{' (secret)' if each.metadata['secret'] else ''} "
        f"| {each.metadata['section']} |\n"
        for each in dataclasses.fields(Settings)
    )


def _type(annotation: object) -> str:
    return "list" if str(annotation).startswith("tuple") else str(annotation)


def _default(value: object) -> str:
    if value in ("", ()):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def main() -> int:
    pages = {ROOT / "docs" / "reference" / "settings.md": settings_page()}
    return write_or_check(pages, check="--check" in sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
