"""The HTTP edge: routers, request reading, error dialects. It loads FastAPI, in the way that costs least."""

from __future__ import annotations

import gc


def _load_fastapi() -> None:
    """Most of a function's cold start is this import (160 of 230 ms CPU); three things make it 30 ms cheaper.

    Pydantic models are completed when first used, not when defined: FastAPI defines forty for OpenAPI, which
    a function never uses. Garbage is not collected meanwhile, since loading makes none; and what has been
    loaded stays out of later collections, since it is never garbage.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        from pydantic import BaseModel

        BaseModel.model_config["defer_build"] = True
        import fastapi  # noqa: F401
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


_load_fastapi()
