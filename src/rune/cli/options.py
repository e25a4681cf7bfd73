"""The options that several commands share, with their old and new names (jobs-api.md 15)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rune.cli.config_keys import KEYS, Kind


def configured(name: str, *declarations: str) -> Any:
    """An option over a configuration key: its help tells meaning, variable and built-in value.

    Its own default is always None, so that the configuration can tell whether it was given.
    """
    key = KEYS[name]
    facts = [f"env {key.variable}"]
    if key.default is not None:
        shown = str(key.default).lower() if key.kind is Kind.FLAG else str(key.default)
        facts.append(f"default {shown}")
    completion = (lambda: list(key.choices)) if key.choices else None
    return typer.Option(
        *(declarations or (key.option,)),
        help=f"{key.meaning} ({', '.join(facts)})",
        show_default=False,
        autocompletion=completion,
    )


JsonFlag = Annotated[
    bool | None,
    typer.Option(
        "--json", help="Print exactly one JSON object on stdout, all else on stderr.", show_default=False
    ),
]
DebugFlag = Annotated[bool | None, configured("debug", "--debug")]

Question = Annotated[str | None, configured("question", "--question", "-q")]
Model = Annotated[str | None, configured("model", "--model", "-m")]
Agent = Annotated[str | None, configured("agent")]
BackendUrl = Annotated[str | None, configured("backend_url")]
BackendType = Annotated[str | None, configured("backend_type")]
BackendWarmup = Annotated[
    bool | None,
    configured(
        "backend_warmup", "--backend-warmup/--no-backend-warmup", "--ollama-warmup/--no-ollama-warmup"
    ),
]
BackendWarmupTimeout = Annotated[
    int | None, configured("backend_warmup_timeout", "--backend-warmup-timeout", "--ollama-warmup-timeout")
]
Kubeconfig = Annotated[str | None, configured("kubeconfig")]

IdempotencyKey = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key",
        help="The same key and request never start a second job. (env RUNE_IDEMPOTENCY_KEY)",
        show_default=False,
    ),
]
Yes = Annotated[
    bool | None,
    typer.Option("--yes", "-y", help="Answer every question with yes. (env RUNE_YES)", show_default=False),
]
Timeout = Annotated[int, typer.Option("--timeout", min=10, max=14_400, help="Seconds that the job may run.")]
MaxCost = Annotated[
    float | None,
    typer.Option("--max-cost-usd", help="Stop the job at this cost in dollars.", show_default=False),
]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="Print the job's id and stop (http mode).", show_default=False)
]
