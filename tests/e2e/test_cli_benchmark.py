"""`run-benchmark` and its kin as a user types them, on a server and in one process (jobs-api.md 15, 17: 31)."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.benchmarks import MODEL, OFFERS, created, provider
from tests.e2e.local_server import PATIENCE_SECONDS, LocalServer, eventually

from rune.sandbox.ollama.models import GIB, Model
from rune.sandbox.ollama.server import OllamaSim
from rune.sandbox.vast import VastSim

LARGEST = Model("mixtral:8x22b", "llama", "141B", 80 * GIB, 65_536, ("completion", "tools"))
RENT = ("run-benchmark", "--vastai", "--yes", "-m", MODEL)
Ended = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def rented_ollama() -> Iterator[OllamaSim]:
    with OllamaSim(models=["llama3.1:8b", LARGEST]) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def market(rented_ollama: OllamaSim) -> Iterator[VastSim]:
    with VastSim(ollama=rented_ollama, offers=OFFERS, boot_seconds=1.0) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def fresh(market: VastSim, rented_ollama: OllamaSim) -> Iterator[None]:
    market.reset()
    rented_ollama.reset()
    yield
    market.assert_no_leaks()


@pytest.fixture(scope="module")
def server_environment(market: VastSim) -> dict[str, str]:
    return provider(market)


@dataclass(frozen=True, slots=True)
class Cli:
    """The command line on a home of its own. `start` are the options before the command."""

    start: tuple[str, ...]
    environment: dict[str, str]
    folder: Path

    def run(self, *words: str) -> Ended:
        return subprocess.run(
            [*self.command, *words],
            env=self.environment,
            cwd=self.folder,
            text=True,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "rune", *self.start]

    def starting(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.command, *words],
            env=self.environment,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


@pytest.fixture
def over_http(server: LocalServer, tmp_path: Path) -> Cli:
    environment = {"PATH": server.environment["PATH"], "HOME": str(tmp_path)}
    return Cli(("--backend", "http", "--api-base-url", server.url), environment, tmp_path)


@pytest.fixture
def local(server: LocalServer, market: VastSim, tmp_path: Path) -> Cli:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "RUNE_HOLMES_DRIVER_CMD": server.environment["RUNE_HOLMES_DRIVER_CMD"],
        **provider(market),
    }
    return Cli((), environment, tmp_path)


@pytest.fixture(params=["over_http", "local"])
def cli(request: pytest.FixtureRequest) -> Cli:
    found: Cli = request.getfixturevalue(request.param)
    return found


def test_a_benchmark_rents_asks_hands_back_and_tells_what_it_cost(cli: Cli, market: VastSim) -> None:
    ended = cli.run("--json", *RENT, "-q", "all is well")
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    result = document["result"]
    assert (document["command"], result["answer"], result["model_name"]) == (
        "run-benchmark",
        "all is well",
        MODEL,
    )
    (entry,) = market.ledger
    assert (result["contract_id"], result["teardown"]["destroyed_instance"]) == (str(entry.id), True)
    assert result["telemetry"]["cost_usd"] > 0
    assert [phase["name"] for phase in result["phases"]] == [
        "admit", "acquire", "wait_ready", "pull", "warm_up", "ask", "record", "teardown",
    ]  # fmt: skip


def test_people_see_phases_teardown_and_cost(cli: Cli) -> None:
    ended = cli.run(*RENT, "-q", "shown")
    assert ended.returncode == 0, ended.stderr
    for text in (
        "Agent Answer (text)",
        "teardown",
        "Teardown: instance destroyed, its absence was seen",
        "Cost: $0.0",
    ):
        assert text in ended.stdout
    assert "vastai.instance.create" in ended.stderr


def test_a_failed_benchmark_hands_back(cli: Cli, market: VastSim) -> None:
    ended = cli.run(*RENT, "-q", "garbage")
    assert ended.returncode == 1
    assert "driver returned invalid JSON" in ended.stderr
    assert len(market.ledger) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_after_a_signal_nothing_stays_rented(
    cli: Cli, market: VastSim, number: signal.Signals, code: int
) -> None:
    with cli.starting(*RENT, "-q", "sleep:60") as process:
        eventually(lambda: market.ledger, "an instance")
        process.send_signal(number)
        output = process.communicate(timeout=PATIENCE_SECONDS)[0]
    assert process.returncode == code, output
    assert "Traceback" not in output
    if cli.start:
        # The server goes on handing back when the command line no longer waits for it.
        eventually(lambda: all(each.released_at for each in market.ledger), "the server to hand back")
    assert all(each.released_at for each in market.ledger)


def test_in_one_process_the_instance_is_this_machines_own_and_in_the_book(
    local: Cli, market: VastSim
) -> None:
    assert local.run(*RENT, "-q", "booked").returncode == 0
    name = (local.folder / ".rune/deployment_id").read_text().strip()
    (body,) = created(market)
    assert body["label"].startswith(f"rune/{name}/")
    assert name.startswith("cli-")
    lines = [json.loads(line) for line in (local.folder / ".rune/instances.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["reserved", "create", "created", "settled", "ended"]
    assert lines[1]["label"] == body["label"]


def test_what_a_killed_command_left_is_told_and_reaped(local: Cli, market: VastSim) -> None:
    foreign = market.add_foreign_instance("somebody/else")
    with local.starting(*RENT, "-q", "sleep:60") as process:
        eventually(lambda: [each for each in market.ledger if not each.foreign], "an instance")
        eventually(lambda: "created" in (local.folder / ".rune/instances.jsonl").read_text(), "the line")
        assert "Nothing to hand back" in local.run("vastai-reap").stdout, "its command still runs"
        process.kill()
        process.communicate()
    told = local.run("run-llm-instance", "--backend-url", "http://127.0.0.1:9", "--timeout", "10")
    assert "rune vastai-reap" in told.stderr
    assert "would be destroyed" in local.run("vastai-reap", "--dry-run").stdout
    assert [each.released_at for each in market.ledger if not each.foreign] == [None]
    ended = local.run("vastai-reap")
    assert (ended.returncode, "destroyed (job has ended)" in ended.stdout) == (0, True), ended.stderr
    market.assert_untouched(foreign)


def test_an_instance_stays_for_its_lease_and_goes_when_released(cli: Cli, market: VastSim) -> None:
    ended = cli.run(
        "--json", "run-llm-instance", "--vastai", "--yes", "--timeout", "600", "--lease-seconds", "600"
    )
    document = json.loads(ended.stdout)
    assert ended.returncode == 0, ended.stderr
    assert (document["result"]["mode"], document["result"]["model_name"]) == ("vastai", LARGEST.name)
    assert [each.released_at for each in market.ledger] == [None]
    if cli.start:
        assert cli.run("jobs", "release", document["job_id"]).returncode == 0
    else:
        assert "Nothing to hand back" in cli.run("vastai-reap").stdout
        assert cli.run("vastai-reap", "--kept").returncode == 0
    eventually(lambda: all(each.released_at for each in market.ledger), "the end of the lease")


@pytest.mark.parametrize(("typed", "rented"), [("y\n", 1), ("n\n", 0)])
def test_on_a_terminal_the_offer_is_asked_about(local: Cli, market: VastSim, typed: str, rented: int) -> None:
    ours, theirs = pty.openpty()
    words = ["run-benchmark", "--vastai", "-m", MODEL, "-q", "asked"]
    with subprocess.Popen(
        [*local.command, *words],
        env=local.environment | {"TERM": "dumb"},
        cwd=local.folder,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        seen = _until_closed(ours)
        process.communicate(timeout=PATIENCE_SECONDS)
    os.close(ours)
    assert "Create this instance? [y/N]" in seen
    assert (process.returncode, len(market.ledger)) == (0, rented), seen


def test_without_a_terminal_nobody_can_say_yes(local: Cli, market: VastSim) -> None:
    ended = local.run("run-benchmark", "--vastai", "-m", MODEL)
    assert (ended.returncode, "--yes" in ended.stderr) == (1, True)
    assert market.ledger == []


def _until_closed(terminal: int) -> str:
    """What is written to a terminal until the last program that has it ends."""
    seen = b""
    while True:
        try:
            seen += os.read(terminal, 4096)
        except OSError:
            return seen.decode(errors="replace")
