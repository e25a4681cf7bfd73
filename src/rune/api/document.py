"""`python -m rune.api.document [--check]`: the OpenAPI document of every route, made without AWS."""

from __future__ import annotations

import sys

from rune.local.functions import ROOT
from rune.local.generated import write_or_check
from rune_common.http.app import openapi


def main() -> int:
    return write_or_check({ROOT / "docs" / "openapi.json": openapi()}, check="--check" in sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
