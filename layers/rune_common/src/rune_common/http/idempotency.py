"""The key under which a request may be repeated (jobs-api.md 4.4)."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Header

from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.domain.run_errors import IdempotencyKeyInvalid

_KEY = re.compile(r"[!-~]{1,255}")


async def idempotency_key(
    key: Annotated[str | None, Header(alias="Idempotency-Key")] = None,
    older: Annotated[str | None, Header(alias="X-Idempotency-Key")] = None,
) -> str | None:
    """Raises InvalidRequest for a malformed key and for two that differ."""
    if key is not None and older is not None and key != older:
        raise InvalidRequest(FieldProblem("Idempotency-Key", "ambiguous", "differs from X-Idempotency-Key"))
    found = older if key is None else key
    if found is not None and not _KEY.fullmatch(found):
        raise IdempotencyKeyInvalid(
            FieldProblem("Idempotency-Key", "format", "must have 1 to 255 visible ASCII characters")
        )
    return found


IdempotencyKey = Annotated[str | None, Depends(idempotency_key)]
