"""Answers with a strong entity tag, which are not sent again to a caller that has them (RFC 9110 13.1.2)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from fastapi import Response
from starlette.responses import JSONResponse

NOT_MODIFIED = 304


def tagged(
    document: Mapping[str, Any], tag: Callable[[Mapping[str, Any]], str], known: Collection[str]
) -> Response:
    """The document with its tag, or 304 if its tag is among `known` (or `*` is)."""
    headers = {"ETag": tag(document)}
    if headers["ETag"] in known or "*" in known:
        return Response(status_code=NOT_MODIFIED, headers=headers)
    return JSONResponse(document, headers=headers)
