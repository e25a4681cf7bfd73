"""The local stack inside one process, for a single command: same handlers, same state machines, no server.

Nothing is kept after the session but the book of rented instances; what a session starts ends with it.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rune.local.booked_market import BookedMarket, Proposed
from rune.local.engine import Engine, machine_arn
from rune.local.functions import ROOT
from rune.local.give_back import Account, hand_back
from rune.local.machine import machine_settings
from rune.local.user_folder import UserFolder
from rune_common.adapters.agent_starters import LocalAgents
from rune_common.adapters.gpu_account import gpu_market
from rune_common.adapters.memory import (
    MemoryBlobStore,
    MemoryFailureWindow,
    MemoryRateLimiter,
    MemoryRunStore,
    MemoryTokenStore,
)
from rune_common.adapters.model_servers import HttpModelServers
from rune_common.adapters.stepfunctions import StepFunctionsCallbacks, StepFunctionsExecutions
from rune_common.domain.access import DEFAULT_TENANT, Principal
from rune_common.domain.addresses import AddressPolicy
from rune_common.domain.errors import RuneError
from rune_common.domain.gpu_market import GpuMarket
from rune_common.domain.rentals import RentalState
from rune_common.domain.runs import Run, RunKind
from rune_common.http.job_submission import accept, parse_submission
from rune_common.http.schemas.job import JobView
from rune_common.http.schemas.job_event import JobEventsView
from rune_common.tasks import (
    acquire_backend,
    admit_run,
    advance_chain,
    await_approval,
    prepare_backend,
    reap_backends,
    record_outcome,
    record_result,
    start_agent,
    teardown_backend,
)
from rune_common.usecases.cancel_job import cancel_job
from rune_common.usecases.read_job import read_job
from rune_common.usecases.read_job_events import read_job_events
from rune_common.usecases.start_runs import start_run, start_waiting_runs
from rune_common.wiring import Services, attempt, machines, system_clock

CALLER = Principal("local", "human", DEFAULT_TENANT)
TASKS = {
    "admit_run": admit_run.task,
    "acquire_backend": acquire_backend.task,
    "prepare_backend": prepare_backend.task,
    "start_agent": start_agent.task,
    "await_approval": await_approval.task,
    "advance_chain": advance_chain.task,
    "record_result": record_result.task,
    "teardown_backend": teardown_backend.task,
    "record_outcome": record_outcome.task,
    "reap_backends": reap_backends.task,
}


STOP_SECONDS = 10.0
"""How long the end of a session waits for its jobs; then what they have rented is handed back over their heads."""

logger = logging.getLogger("rune.local.session")


class LocalSession:
    """A context manager over jobs of this process. Errors are the product's own (RuneError).

    `home` is the user's, for `.rune`. With `asks` nothing is rented before `decide` has answered `proposed`.
    """

    def __init__(self, environ: Mapping[str, str], home: Path, *, asks: bool = False) -> None:
        self._moved: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        self._closing = ExitStack()
        self._folder = UserFolder(home)
        runs = MemoryRunStore(on_change=self._note)
        self._engine = Engine(ROOT / "statemachines", {name: self._handler(name) for name in TASKS})
        services = _services(environ, runs, self._engine)
        self._market: BookedMarket | None = None
        if services.settings.vast_api_key:
            services = self._renting(services, asks=asks)
        self._services = services
        self._submitted: list[str] = []
        self._starter = threading.Thread(target=self._start_runs, name="starter", daemon=True)

    def __enter__(self) -> Self:
        self._starter.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._closing:
            self._closing.callback(self._stop)
            if self._market is not None:
                self._end_jobs()

    def _stop(self) -> None:
        self._moved.put(None)
        self._starter.join()
        self._engine.close()

    def _renting(self, services: Services, *, asks: bool) -> Services:
        """The same with this machine's own name and book."""
        account = self._account(services.market)
        session = self._closing.enter_context(self._folder.session())
        # Called after the jobs' own teardown, for whatever that has left.
        self._closing.callback(self._hand_back, session.name, account)
        self._market = BookedMarket(services.market, self._folder.book, session.name, system_clock, asks=asks)
        return replace(
            services,
            settings=replace(services.settings, deployment_id=self._folder.deployment_id()),
            market=self._market,
            spend=self._folder.book,
        )

    def _account(self, market: GpuMarket) -> Account:
        return Account(market, self._folder, system_clock, time.sleep)

    @property
    def proposed(self) -> Proposed | None:
        """The offer that waits for a person's answer."""
        return self._market.proposed if self._market else None

    def decide(self, yes: bool) -> None:
        """Answer `proposed`. After a no nothing is rented and the job fails."""
        if self._market:
            self._market.decide(yes)

    def submit(
        self,
        document: dict[str, Any],
        kubeconfig: str | None,
        idempotency_key: str | None,
        *,
        kind: RunKind = RunKind.AGENT,
    ) -> str:
        """Start a job; the id of the one that has this key already, if any."""
        given = document if kubeconfig is None else {**document, "kubeconfig": kubeconfig}
        raw = json.dumps(given).encode()
        submission, _ = parse_submission(kind, raw, idempotency_key, self._services)
        if self._market:
            self._market.model = str(document.get("model") or "")
        submitted = accept(submission, CALLER, self._services)
        self._submitted.append(submitted.run_id)
        return submitted.run_id

    def job(self, job_id: str) -> dict[str, Any]:
        found = read_job(job_id, CALLER, runs=self._services.runs, blobs=self._services.blobs)
        return JobView.of(found).model_dump(exclude_unset=True)

    def events(self, job_id: str, after: int) -> list[dict[str, Any]]:
        page = read_job_events(job_id, CALLER, after=after, runs=self._services.runs)
        return [event.model_dump() for event in JobEventsView.of(page).events]

    def cancel(self, job_id: str) -> None:
        services = self._services
        if self.proposed:
            self.decide(False)
        cancel_job(
            job_id,
            CALLER,
            runs=services.runs,
            clock=services.clock,
            redactor=services.redactor,
            seal=services.evidence,
        )

    def _handler(self, name: str) -> Any:
        return lambda event, context: TASKS[name](event, self._services)

    def _note(self, before: Run | None, after: Run) -> None:
        self._book(before, after)
        if before is None or (after.terminal and not before.terminal):
            self._moved.put(after)

    def _book(self, before: Run | None, after: Run) -> None:
        """Write down what became of a rental."""
        known = {each.reservation: each for each in before.rentals} if before else {}
        for rental in after.rentals:
            earlier = known.get(rental.reservation)
            until = rental.lease_expires_at
            if not rental.open and (earlier is None or earlier.open):
                self._folder.book.ended(rental.label)
            elif (
                rental.state is RentalState.RUNNING
                and until
                and (earlier is None or not earlier.lease_expires_at)
            ):
                self._folder.book.kept(rental.label, until)

    def _end_jobs(self) -> None:
        """Stop what still runs, and let it tear down."""
        until = time.monotonic() + STOP_SECONDS
        for job_id in self._submitted:
            with suppress(RuneError):
                self.cancel(job_id)
            while time.monotonic() < until and not self._has_ended(job_id):
                time.sleep(0.1)

    def _has_ended(self, job_id: str) -> bool:
        run = self._services.runs.get(CALLER.tenant, job_id)
        return run is None or run.terminal

    def _hand_back(self, session: str, account: Account) -> None:
        try:
            hand_back(session, account)
        except RuneError as exc:
            logger.warning("a rented instance could not be handed back", exc_info=exc)

    def _start_runs(self) -> None:
        """What the table's stream does for the deployed stack: start what was queued, and what waited."""
        services = self._services
        while (run := self._moved.get()) is not None:
            if run.terminal:
                start_waiting_runs(
                    run.tenant,
                    runs=services.runs,
                    executions=services.executions,
                    clock=services.clock,
                    owner=services.owner,
                    max_running=services.settings.tenant_max_running_runs,
                )
            else:
                start_run(
                    run.tenant,
                    run.run_id,
                    runs=services.runs,
                    executions=services.executions,
                    clock=services.clock,
                    owner=services.owner,
                    max_running=services.settings.tenant_max_running_runs,
                )


def _services(environ: Mapping[str, str], runs: MemoryRunStore, engine: Engine) -> Services:
    settings = replace(
        machine_settings(environ),
        run_agent_machine_arn=machine_arn("run_agent"),
        run_benchmark_machine_arn=machine_arn("run_benchmark"),
        run_chain_machine_arn=machine_arn("run_chain"),
    )
    blobs, callbacks = MemoryBlobStore(), StepFunctionsCallbacks(engine.client)
    backends = AddressPolicy(settings.backend_allowlist, settings.backend_allow_public)
    return Services(
        settings=settings,
        runs=runs,
        blobs=blobs,
        tokens=MemoryTokenStore(),
        failures=MemoryFailureWindow(),
        limiter=MemoryRateLimiter(),
        executions=StepFunctionsExecutions(settings.run_agent_machine_arn, engine.client, machines(settings)),
        agents=LocalAgents(lambda task: attempt(task, settings, runs, blobs, callbacks)),
        callbacks=callbacks,
        servers=HttpModelServers(backends),
        market=gpu_market(settings),
        backend_policy=backends,
        cluster_policy=AddressPolicy(settings.cluster_allowlist),
    )
