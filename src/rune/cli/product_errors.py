"""The product's own errors as failures of a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rune.cli.failures import CliFailure


@contextmanager
def product_errors() -> Iterator[None]:
    """Make every RuneError a CliFailure with its words and code. Its texts never hold submitted values."""
    from rune_common.domain.errors import RuneError

    try:
        yield
    except RuneError as exc:
        text = str(exc) or exc.code.replace("_", " ")
        available = getattr(exc, "available", ())
        hint = f"available: {', '.join(available)}" if available else ""
        raise CliFailure(text, code=exc.code, hint=hint) from exc
