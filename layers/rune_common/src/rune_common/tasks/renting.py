"""What the tasks around rented GPUs share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rune_common.domain.errors import RunFailure
from rune_common.domain.spend import SpendLimits
from rune_common.usecases.record_outcome import note_failure
from rune_common.usecases.renting import RentPorts
from rune_common.wiring import Services


def rent_ports(services: Services) -> RentPorts:
    settings = services.settings
    return RentPorts(
        runs=services.runs,
        market=services.market,
        rented=services.rented,
        ledger=services.spend,
        backends=services.backend_policy,
        clock=services.clock,
        redactor=services.redactor,
        deployment_id=settings.deployment_id,
        limits=SpendLimits.of_usd(settings.spend_limit_per_job_usd, settings.spend_limit_per_day_usd),
        quotes=services.gpu_quotes,
        poll_seconds=settings.vastai_poll_seconds,
        boot_timeout=settings.vastai_boot_timeout,
        recheck_seconds=settings.vastai_recheck_seconds,
    )


@contextmanager
def failure_noted(event: Mapping[str, Any], services: Services) -> Iterator[None]:
    """Keep in the run why a step failed: a state machine carries only the error's name."""
    try:
        yield
    except RunFailure as failure:
        note_failure(
            event["tenant"],
            event["run_id"],
            failure,
            runs=services.runs,
            clock=services.clock,
            redactor=services.redactor,
        )
        raise
