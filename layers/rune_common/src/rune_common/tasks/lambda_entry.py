"""Lambda handlers of tasks and stream consumers. Reads the environment, so only functions/ imports it."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from rune_common.settings import Settings
from rune_common.tasks.stream import Consume, ConsumeEvents, consume_batch, consume_events
from rune_common.wiring import Services, wire

Task = Callable[[Mapping[str, Any], Services], dict[str, Any]]
Handler = Callable[[dict[str, Any], object], dict[str, Any]]

logger = logging.getLogger("rune.tasks")


_build: Callable[[Settings], Services] = wire


def use_step_functions(client: Callable[[], Any]) -> None:
    """Give this process's handlers another Step Functions than the region's: the local stack's."""
    global _build
    _build = functools.partial(wire, step_functions=client)


@functools.cache
def services() -> Services:
    """This process's services, built at the first event."""
    return _build(Settings.from_env(os.environ))


def task_function(task: Task) -> Handler:
    """A handler whose exceptions reach the state machine under their class names."""

    def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
        return task(event, services())

    return handler


def stream_function(consume: Consume) -> Handler:
    """A handler of a table stream's batch that reports which records failed."""

    def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
        return consume_batch(event, lambda change: consume(change, services()))

    return handler


def events_function(consume: ConsumeEvents) -> Handler:
    """A handler of the events in a table stream's batch, all of them at once."""

    def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
        return consume_events(event, lambda appended: consume(appended, services()))

    return handler
