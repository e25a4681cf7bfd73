"""A ticket with which a browser reads a run's events or its terminal (runs-api.md 1.3)."""

from __future__ import annotations

from rune_common.domain.access import Principal
from rune_common.domain.events import timestamp
from rune_common.domain.external_events import parse_time
from rune_common.domain.ports import Clock, RunStore
from rune_common.domain.stream_tickets import LIFE_MS, Purpose, StreamTicket, sign_ticket
from rune_common.usecases.find_run import find_run
from rune_common.usecases.keyed_answers import Answer, KeyedAnswers

CREATED = 201


def create_stream_ticket(
    run_id: str,
    purpose: Purpose,
    caller: Principal,
    answers: KeyedAnswers,
    *,
    runs: RunStore,
    clock: Clock,
    key: bytes,
) -> Answer:
    """A signed, read-only ticket for one run and one purpose. Raises RunNotFound, IdempotencyKeyReused.

    What is kept for a repetition is all but the ticket: its signature is made again.
    """

    def act() -> Answer:
        run = find_run(run_id, caller, runs=runs)
        expires_at = timestamp(clock() + LIFE_MS)
        kept = {"purpose": purpose, "run_id": run.run_id, "expires_at": expires_at}
        return answers.keep(run.run_id, Answer(CREATED, kept))

    answer = answers.once(act)
    ticket = StreamTicket(
        caller.tenant, answer.body["run_id"], purpose, caller.subject, parse_time(answer.body["expires_at"])
    )
    return Answer(answer.status, {"ticket": sign_ticket(ticket, key=key), **answer.body}, answer.replayed)
