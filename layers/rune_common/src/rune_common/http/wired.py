"""How a route gets the services that the application was built with."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from rune_common.wiring import Services


async def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


Wired = Annotated[Services, Depends(services)]
