"""How a route gets the services that the application was built with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from rune_common.wiring import Services


async def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


Wired = Annotated[Services, Depends(services)]

T = TypeVar("T")


async def blocking(request: Request, call: Callable[[], T]) -> T:
    """Carry out a call that may wait: in a thread, or right here in a function that answers one at a time.

    A request that makes one hop to a thread instead of four costs half the CPU.
    """
    if request.app.state.one_at_a_time:
        return call()
    from starlette.concurrency import run_in_threadpool

    return await run_in_threadpool(call)
