"""Which methods a path answers, over all routers of an application (jobs-api.md 1.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from fastapi import APIRouter
from fastapi.routing import APIRoute

STREAM = "text/event-stream"


class MethodTable:
    """HEAD is answered wherever GET is, except by a stream; OPTIONS wherever anything is."""

    def __init__(self, routers: Iterable[APIRouter]) -> None:
        self._routes: list[tuple[re.Pattern[str], frozenset[str]]] = [
            (route.path_regex, _methods(route))
            for router in routers
            for route in router.routes
            if isinstance(route, APIRoute)
        ]

    def of(self, path: str) -> tuple[str, ...]:
        """The methods in alphabetical order; empty for an unknown path."""
        found = frozenset[str]().union(*(methods for regex, methods in self._routes if regex.match(path)))
        return tuple(sorted(found | {"OPTIONS"})) if found else ()


def _methods(route: APIRoute) -> frozenset[str]:
    methods = frozenset(route.methods or ())
    streams = getattr(route.response_class, "media_type", None) == STREAM
    return methods | {"HEAD"} if "GET" in methods and not streams else methods
