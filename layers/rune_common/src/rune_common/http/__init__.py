"""The HTTP edge: routers, request reading, error dialects. Import this package before FastAPI."""

from __future__ import annotations

from pydantic import BaseModel

# Models are completed when first used, not when defined. FastAPI defines forty of its own for OpenAPI, which
# a function never uses and would otherwise pay for on every cold start (27 of 190 ms CPU).
BaseModel.model_config["defer_build"] = True
