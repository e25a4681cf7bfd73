"""A server with a provider and model servers of its own, on which one combination after another is tried."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.e2e.faults.matrix import Act, Combination
from tests.e2e.faults.phases import After, DriverAsked, InLog, Request, Sign, SimFault
from tests.e2e.jobs_client import Jobs, asked
from tests.e2e.local_server import LocalServer, eventually

from rune.sandbox.ollama.server import OllamaSim
from rune.sandbox.simulator import LoggedRequest, Simulator
from rune.sandbox.vast import VastSim
from rune.sandbox.vast.offers import Offer

OFFERS = tuple(Offer(90_001 + n, 1 + n, "RTX 4090", 1, 24_564, 2.4 + n / 1000) for n in range(12))
MODEL = "qwen2.5:14b"
"""A model that has to be pulled."""

END_SECONDS = 150.0
RETURN_SECONDS = 20.0
REAPED_SECONDS = 60.0
ENVIRONMENT = {
    "RUNE_VASTAI_POLL_SECONDS": "1",
    "RUNE_VASTAI_MIN_INTERVAL": "0",
    "RUNE_VASTAI_RECHECK_SECONDS": "2",
    "RUNE_VASTAI_TIMEOUT": "3",
    "RUNE_VASTAI_BOOT_TIMEOUT": "12",
    "RUNE_VASTAI_READY_TIMEOUT": "8",
    "RUNE_SPEND_LIMIT_PER_DAY_USD": "1000",
    "RUNE_SPEND_LIMIT_PER_JOB_USD": "100",
}


@dataclass(slots=True)
class Verdict:
    """What became of one combination. `wrong` says what should not be; `reaped`: a reaper's cycle was needed."""

    combination: Combination
    job_id: str = ""
    ended: str = ""
    seconds: float = 0.0
    lost: bool = False
    leaked: bool = False
    reaped: bool = False
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        marks = "".join(f" {word}" for word in ("lost", "leaked", "reaped") if getattr(self, word))
        return (
            f"{'ok ' if not self.wrong else 'BAD'} {self.combination.name}: {self.ended or 'no end'}"
            f" after {self.seconds:.0f} s{marks}{''.join(f'; {each}' for each in self.wrong)}"
        )


class Lane:
    """One job at a time, so that a simulator's fault meets no other."""

    def __init__(self, server: LocalServer, market: VastSim, models: OllamaSim) -> None:
        self.server, self.market, self.models = server, market, models
        self.jobs = Jobs(server.url, "")
        self._others = [
            market.add_foreign_instance(None, age_seconds=7200),
            market.add_foreign_instance(f"rune/another-deployment/{'a' * 36}/1700000000", age_seconds=7200),
            market.add_foreign_instance("rune/anything else", age_seconds=7200),
        ]

    def attempt(self, combination: Combination) -> Verdict:
        """Try one combination; what it leaves open is tidied up, so that the next one is met by nothing of it."""
        verdict, began = Verdict(combination), time.monotonic()
        try:
            self._carry_out(combination, verdict)
        except Exception as exc:
            # Whatever it was belongs to this combination, and the others shall be tried as well.
            verdict.wrong.append(f"{type(exc).__name__}: {exc}"[:600])
        verdict.seconds = time.monotonic() - began
        return verdict

    def _carry_out(self, combination: Combination, verdict: Verdict) -> None:
        phase, strike = combination.phase, combination.strike
        self.release()
        self.models.reset()
        seen, at_once = len(self.market.requests), phase.sign == After(0)
        self._arm(phase.long_holds if strike.on_deadline else phase.holds)
        if at_once:
            self._arm(strike.faults)
        verdict.job_id = job_id = self._submit(combination)
        eventually(
            lambda: self._shows(phase.sign, job_id, seen),
            lambda: f"the phase: {self.jobs.get(job_id)}",
            seconds=60,
        )
        if at_once:
            self._act(strike.acts, job_id)
        elif not strike.on_deadline:
            self._strike(combination, job_id)
        self._judge_end(combination, verdict)
        self._judge_account(verdict)
        self._judge_strike(combination, verdict, seen)

    def _submit(self, combination: Combination) -> str:
        phase, late = combination.phase, combination.strike.on_deadline
        body: dict[str, Any] = {
            "vastai": True,
            "question": phase.long_question if late else phase.question,
            "model": MODEL,
            "max_dph": 3.0,
            "timeout_seconds": combination.timeout_seconds,
            "backend_warmup_timeout": 60 if late else 8,
        }
        answer = self.jobs.http.post("/v1/jobs/benchmark", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def _shows(self, sign: Sign, job_id: str, seen: int) -> bool:
        match sign:
            case Request("market", wanted):
                return any(_fits(each, wanted) for each in self.market.requests[seen:])
            case Request(_, wanted):
                return any(_fits(each, wanted) for each in self.models.requests)
            case InLog(name):
                return name in [each["name"] for each in self.jobs.events(job_id)]
            case DriverAsked():
                return job_id in [each["run_id"] for each in asked(self.server.record)]
            case After(seconds):
                time.sleep(seconds)
                return True

    def _strike(self, combination: Combination, job_id: str) -> None:
        """What is done to the job meets it while it is held; the faults come when nothing holds it any more."""
        strike = combination.strike
        self._act(strike.acts - {Act.KILL_SERVER}, job_id)
        if Act.KILL_SERVER in strike.acts:
            self._kill_server()
        if Act.EXIT_INSTANCES in strike.acts:
            self._clear()
        else:
            self.release()
        self._arm(strike.faults)
        if Act.KILL_SERVER in strike.acts:
            self.server.start()

    def _act(self, acts: frozenset[Act], job_id: str) -> None:
        if Act.CANCEL in acts:
            answer = self.jobs.http.delete(f"/v1/jobs/{job_id}")
            assert answer.status_code in (200, 202, 409), answer.text
        if Act.EXIT_INSTANCES in acts:
            for each in self._open():
                self.market.set_status(each, "exited")
        if Act.KILL_WORKER in acts:
            self._kill_worker()
        if Act.KILL_SERVER in acts:
            self._kill_server()
            self.server.start()

    def _kill_worker(self) -> None:
        worker = eventually(self.server.worker, "a worker")
        assert worker is not None
        worker.kill()

    def _kill_server(self) -> None:
        self.server.kill()
        self.server.all_gone()

    def _judge_end(self, combination: Combination, verdict: Verdict) -> None:
        try:
            job = self.jobs.wait(verdict.job_id, seconds=END_SECONDS)
        except AssertionError:
            verdict.lost = True
            raise
        status, code = job["status"], job.get("error_code")
        verdict.ended = f"{status}:{code}" if status == "failed" else status
        if verdict.ended not in combination.expected:
            verdict.wrong.append(f"expected {sorted(combination.expected)}: {job.get('error')}")
        if status != "succeeded" and not (job.get("error") and code):
            verdict.wrong.append("no reason is given")
        if status == "succeeded" and job["result"]["answer"] != "answered":
            verdict.wrong.append(f"the answer is {job['result']['answer']!r}")

    def _judge_strike(self, combination: Combination, verdict: Verdict, seen: int) -> None:
        """A fault that nobody met has tried nothing. A job that was cancelled may have ended before it."""
        if Act.CANCEL in combination.strike.acts:
            return
        met = {
            "market": [each.fault for each in self.market.requests[seen:]],
            "models": [each.fault for each in self.models.requests],
        }
        for each in combination.strike.faults:
            if each.kind not in met[each.simulator]:
                verdict.wrong.append(f"nobody met {each.kind}")

    def _judge_account(self, verdict: Verdict) -> None:
        """Nothing of ours is rented any more, a reaper's cycle included; what others have is untouched."""
        if not self._returned(RETURN_SECONDS):
            verdict.reaped = True
            if not verdict.combination.by_reaper:
                verdict.wrong.append(f"left to the reaper: {self._open()}")
            self.release()
            self._kill_worker()  # the next one begins with a cycle of the reaper
            if not self._returned(REAPED_SECONDS):
                verdict.leaked = True
                verdict.wrong.append(f"still rented: {self._open()}")
        for each in self._others:
            try:
                self.market.assert_untouched(each)
            except AssertionError as exc:
                verdict.wrong.append(str(exc))

    def _returned(self, seconds: float) -> bool:
        try:
            return eventually(lambda: not self._open(), "the instances to be returned", seconds=seconds)
        except AssertionError:
            return False

    def release(self) -> None:
        """No fault is left, and what was kept from starting starts."""
        self._clear()
        for each in self._open():
            self.market.set_status(each, "running")

    def _clear(self) -> None:
        self.market.clear_faults()
        self.models.clear_faults()

    def _arm(self, faults: tuple[SimFault, ...]) -> None:
        simulators: dict[str, Simulator] = {"market": self.market, "models": self.models}
        for each in faults:
            simulators[each.simulator].fault(**each.arguments())

    def _open(self) -> list[int]:
        return [each.id for each in self.market.ledger if each.released_at is None and not each.foreign]


@contextmanager
def opened_lane(folder: Path) -> Iterator[Lane]:
    with (
        OllamaSim(models=["llama3.1:8b"]) as models,
        VastSim(ollama=models, offers=OFFERS, boot_seconds=0.5) as market,
    ):
        provider = {"VAST_API_KEY": market.api_key, "RUNE_VASTAI_BASE_URL": market.url}
        server = LocalServer(folder, **provider, **ENVIRONMENT)
        try:
            server.start()
            yield Lane(server, market, models)
        finally:
            server.stop()


def _fits(request: LoggedRequest, wanted: Mapping[str, str]) -> bool:
    return request.method == wanted["method"] and fnmatchcase(request.path, wanted["path"])
