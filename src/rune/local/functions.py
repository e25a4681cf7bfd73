"""The handlers under functions/, imported one by one under names of their own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from rune.local.invoke import Handler
from rune_common.domain.errors import Misconfigured

ROOT = Path(__file__).resolve().parents[3]
"""The checkout: state machines, functions and the template lie beside `src`."""


def load_function(name: str) -> Handler:
    """The `handler` of functions/<name>/app.py. Raises Misconfigured when there is none."""
    path = ROOT / "functions" / name / "app.py"
    spec = importlib.util.spec_from_file_location(f"functions.{name}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise Misconfigured(f"functions/{name}/app.py is missing: run Rune from its checkout")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler: Handler = module.handler
    return handler
