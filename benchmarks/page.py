"""docs/reference/performance.md from the benchmarks' outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.outcome import Outcome

HEAD = """\
# Performance

Written by `make bench`. Each benchmark is one command, listens and sends on loopback only, and ends what it starts.

Machines differ, and the same machine differs from minute to minute. So read ratios, which come from sides that took
turns in one run, before milliseconds, and CPU before time on the clock. An aim that is missed is shown as missed.
"""


@dataclass(frozen=True, slots=True)
class Text:
    """What a benchmark's part of the page says beside its numbers."""

    title: str
    measured: str
    reading: str


TEXTS: Mapping[str, Text] = {
    "cold_start": Text(
        "Cold start",
        "The submit function in a fresh process: its import, its start and its first request, in CPU of all threads,"
        " without the interpreter's own start. `bare` is the usual FastAPI function with a boto3 DynamoDB client"
        " that it builds and does not use, `bare_with_call` one that makes one call; the submit function makes"
        " three. All have compiled bytecode, as the deployed layer has, and alternate.",
        "Nine tenths of it are imports: half of them FastAPI with pydantic, for which all sides pay alike, and a third"
        " the product's own modules. A function builds every adapter at its start, also those of endpoints that it"
        " does not serve; building only what its route needs is what would bring the aim into reach. The table's client"
        " takes a twentieth, where boto3 takes half of the other side's.",
    ),
    "warm_handler": Text(
        "Warm handler",
        "One request in a warm function, from the gateway's event to its answer: authentication, validation, the use"
        " case, the table's items made and read, the audit line. The table's client is replaced by one that keeps"
        " items in memory, so calls to the table are not in it.",
        "Medians of blocks, in CPU of the process.",
    ),
    "evidence_bundle": Text(
        "Evidence bundle",
        "A run of 100,000 events, nine tenths of them output with a secret to redact: its bundle is built from stored"
        " lines into a file, and checked as `rune evidence verify` does. The lines come from a file, so reading the"
        " table is not in it. `peak_mib` is what Python held at most while it did both, `memory_growth` that over the"
        " same for 10,000 events.",
        "Sealing builds twice and checks once. What grows with the events is on disk; in memory it is 16 bytes for"
        " each piece of interleaved output.",
    ),
    "job_lists": Text(
        "Lists, reports and bursts",
        "The same requests to a server with 100 stored jobs and to one with 100,000, in turns: a page of 50 jobs,"
        " a filtered page, the metrics summary and the cost simulation. Then 60 jobs at once, worked off to the last.",
        "A list reads its page, whatever lies beyond; the tables page says what each request costs in units, and a"
        " test holds it. The cost simulation reads at most 500 jobs of its tenant's history, so it grows up to there.",
    ),
    "submit_read": Text(
        "Submit and read",
        "The local server with its worker and database, and a load of clients that each submit a job and read it"
        " back, on one connection each, from a process of its own. The jobs are worked off meanwhile with all their"
        " steps; the agent answers at once (`ended_per_s`). Rounds alternate between an empty table and one of"
        " 100,000 ended runs (`full`), each on a fresh server.",
        "A pair is two requests; its latency is that of both. `*_cpu_ms_per_pair` tells where the processors' time"
        " goes: the load, the server, the database and the worker share two cores or whatever there is, so on two"
        " cores no more than 2,000 divided by their sum can be reached, and the server, being one Python process,"
        " no more than 1,000 divided by its own part. Of the server's part more than half is the way through"
        " FastAPI with its hops between threads. The worker takes what is left over, about forty times a pair's"
        " CPU for each run that it works off: parsing the state machine anew for each execution is a quarter,"
        " building clients for its tasks a sixth, parsing JSON paths a seventh.",
    ),
    "event_log": Text(
        "Event log",
        "One run of a client on the local server: four clients append to it, 40 events in each request"
        " (`appended_per_s`) and one (`appended_singly_per_s`); 200 followers hear of ten events a second, each"
        " from the moment before it is sent until a follower has it (`delivery_*`); a log of 99,000 events is read"
        " again in pages of 500, and its status once; 1,000 followers hear nothing (`idle_streams_mb`, added to the"
        " server's proportional memory).",
        "Server, database and load share the machine's cores. What one event costs is its way through redaction,"
        " RFC 8785 and the chain, about a millisecond with its transaction; what one follower costs is a turn of the"
        " event loop for each event. The status of a long log comes from a snapshot"
        " (adr/0008-folded-status.md), so its length hardly shows.",
    ),
    "idle_memory": Text(
        "Idle memory",
        "The local server after its start and a request for its health: API, worker and database, without an agent.",
        "`resident_mb` adds up the processes and so counts pages that they share more than once;"
        " `proportional_mb` counts them once. The worker grows by about 120 MB when the first job loads the state"
        " machines' interpreter.",
    ),
    "table_clients": Text(
        "Table clients",
        "boto3 and pydynox at the same calls against the same local database, each in a process of its own"
        " (adr/0002-table-client.md).",
        "CPU is the client's; ratios are pydynox to boto3.",
    ),
}
BENCHMARKS = tuple(TEXTS)


def page(outcomes: Sequence[Outcome]) -> str:
    """The whole page. Raises KeyError for a benchmark without a text."""
    return "\n".join([HEAD, *(_part(outcome, TEXTS[outcome.benchmark]) for outcome in outcomes)])


def _part(outcome: Outcome, text: Text) -> str:
    rows = [_row(outcome, metric) for metric in outcome.results]
    table = "\n".join(["| metric | result | aim | met |", "|---|---|---|---|", *rows])
    return (
        f"## {text.title}\n\n`python -m benchmarks.{outcome.benchmark}`\n\n"
        f"{text.measured}\n\n{table}\n\n{text.reading}\n"
    )


def _row(outcome: Outcome, metric: str) -> str:
    aim = outcome.aims.get(metric, "")
    met = {True: "yes", False: "**no**"}[outcome.met[metric]] if aim else ""
    return f"| `{metric}` | {outcome.results[metric]:g} | {aim} | {met} |"
