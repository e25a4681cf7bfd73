"""The local stack's worker: stream consumers, state machines and agents, in a process of their own.

It starts when the server does and ends with it. When it is killed, the server starts another, which takes
up the runs that this one had (`recover_runs`).
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import Any

from rune.local.engine import REGION, Engine, machine_arn
from rune.local.functions import ROOT, load_function
from rune.local.invoke import Handler
from rune.local.logs import configure_logging
from rune.local.pump import StreamPump
from rune_common.adapters.workspace import clear_workspaces
from rune_common.settings import Settings
from rune_common.usecases.recover_runs import recover_runs

TASKS = (
    "admit_run",
    "acquire_backend",
    "prepare_backend",
    "start_agent",
    "await_approval",
    "advance_chain",
    "record_result",
    "teardown_backend",
    "record_outcome",
    "reap_backends",
)
CONSUMERS = (
    "on_run_queued",
    "on_approval_decided",
    "on_run_ended",
    "on_instance_released",
    "on_event_appended",
)
SLOW_CONSUMERS = ("seal_evidence",)
"""What may take a minute for one record, so it reads the stream for itself."""

SWEEPS = {"expire_waits": 15.0, "reap_backends": 300.0}
"""What the schedule does for the deployed stack, with the seconds between two times."""

SWEEP_AGAIN_SECONDS = 15.0
"""After a sweep that failed, e.g. while the provider was out: what is rented costs meanwhile."""

NICENESS = 19
"""Answering requests goes before working off the queue."""

logger = logging.getLogger("rune.local.worker")


def main() -> None:
    """Run until SIGTERM, or until the server that started this process is gone."""
    settings = Settings.from_env(os.environ)
    configure_logging(settings.log_level)
    os.nice(NICENESS)
    os.environ["AWS_DEFAULT_REGION"] = REGION
    os.environ["RUNE_RUN_AGENT_MACHINE_ARN"] = machine_arn("run_agent")
    os.environ["RUNE_RUN_BENCHMARK_MACHINE_ARN"] = machine_arn("run_benchmark")
    os.environ["RUNE_RUN_CHAIN_MACHINE_ARN"] = machine_arn("run_chain")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server decides
    threading.Thread(target=_end_with_server, name="lifeline", daemon=True).start()
    work(settings, stop)
    os._exit(0)  # the drivers of attempts that still run end with this process


def work(settings: Settings, stop: threading.Event) -> None:
    """Recover, then deliver the stream and sweep until `stop`."""
    from rune_common.tasks import lambda_entry

    # The folder is this worker's: its server holds the data folder's lock, and there is one worker at a time.
    clear_workspaces(settings.work_dir)
    engine = Engine(ROOT / "statemachines", {name: load_function(name) for name in TASKS})
    lambda_entry.use_step_functions(engine.client)
    services = lambda_entry.services()
    pump = StreamPump(settings.runs_table, _streams(settings), [load_function(name) for name in CONSUMERS])
    pump.open()
    slow = StreamPump(
        settings.runs_table, _streams(settings), [load_function(name) for name in SLOW_CONSUMERS]
    )
    slow.open()
    taken_up = recover_runs(
        runs=services.runs,
        executions=services.executions,
        clock=services.clock,
        redactor=services.redactor,
        owner=services.owner,
        max_running=settings.tenant_max_running_runs,
        seal=services.evidence,
    )
    if taken_up:
        logger.info("took up %d runs of an earlier process", taken_up)
    # Nothing that this process starts needs the key, and the services have it.
    os.environ.pop("VAST_API_KEY", None)
    for name, seconds in SWEEPS.items():
        threading.Thread(
            target=_sweep, args=(load_function(name), seconds, stop), name=name, daemon=True
        ).start()
    threading.Thread(target=slow.run, args=(stop,), name="slow consumers", daemon=True).start()
    pump.run(stop)
    engine.close()


def _sweep(task: Handler, seconds: float, stop: threading.Event) -> None:
    """Now, since an earlier process may have left something, and then again and again."""
    while not stop.is_set():
        pause = seconds
        try:
            task({}, None)
        except Exception:
            logger.exception("a sweep failed")
            pause = min(seconds, SWEEP_AGAIN_SECONDS)
        stop.wait(pause)


def _streams(settings: Settings) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        "dynamodbstreams",
        # The local database's shard names are shorter than the service's, which the client would refuse.
        config=Config(parameter_validation=False),
        region_name=settings.region,
        endpoint_url=settings.dynamodb_endpoint or None,
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


def _end_with_server() -> None:
    """The server holds the other end of standard input; it closes when the server is gone, however it went."""
    while os.read(0, 4096):  # not through sys.stdin, whose lock would be held at the interpreter's end
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
