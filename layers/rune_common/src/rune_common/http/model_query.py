"""From a query string to a model server (jobs-api.md 13, 1.3 T6)."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query


async def asked_backend_url(
    backend_url: Annotated[str, Query(description="the model server")] = "",
    ollama_url: Annotated[str, Query(description="older name of `backend_url`")] = "",
) -> str:
    """The newer name counts; empty when neither is given."""
    return backend_url or ollama_url


AskedBackendUrl = Annotated[str, Depends(asked_backend_url)]
AskedBackendType = Annotated[str, Query(description="`ollama` or `openai`")]
