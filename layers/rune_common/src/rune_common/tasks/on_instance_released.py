from __future__ import annotations

from rune_common.adapters.dynamodb_stream import RunMoved
from rune_common.tasks.renting import rent_ports
from rune_common.usecases.reap_backends import give_back_released
from rune_common.wiring import Services


def consume(moved: RunMoved, services: Services) -> None:
    """Destroy what a finished job was asked to give back."""
    if moved.released and services.settings.vast_api_key:
        give_back_released(moved.tenant, moved.run_id, ports=rent_ports(services))
