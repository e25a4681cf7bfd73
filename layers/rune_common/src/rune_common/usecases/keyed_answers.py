"""One answer for one idempotency key, however often it is asked (runs-api.md 1.5)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rune_common.domain.access import Principal
from rune_common.domain.errors import IdempotencyKeyReused, IdempotencyKeyTaken, Unavailable
from rune_common.domain.ports import Clock, IdempotencyClaim, RunStore

DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Keyed:
    """Under which key a request may be repeated. `operation` names what it does, and to which ids."""

    operation: str
    key: str | None
    body_sha256: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with. `body` is JSON without what depends on the host that was asked."""

    status: int
    body: Mapping[str, Any]
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class KeyedAnswers:
    """The answers that are kept for a request's key; without a key nothing is kept."""

    keyed: Keyed
    caller: Principal
    runs: RunStore
    clock: Clock
    retention_days: int

    def once(self, act: Callable[[], Answer]) -> Answer:
        """The kept answer, else what `act` does, which keeps it in the transaction of its effect.

        Raises IdempotencyKeyReused, and what `act` raises; then nothing is kept.
        """
        earlier = self._kept()
        if earlier is not None:
            return earlier
        try:
            return act()
        except IdempotencyKeyTaken:
            # Whoever was first kept its answer together with its effect, so it is there.
            earlier = self._kept()
            if earlier is None:
                raise Unavailable("an idempotency key was taken and is gone") from None
            return earlier

    def claim(self, run_id: str, answer: Answer) -> IdempotencyClaim | None:
        """What keeps an answer; None without a key."""
        if self.keyed.key is None:
            return None
        return IdempotencyClaim(
            tenant=self.caller.tenant,
            operation=self.keyed.operation,
            key=self.keyed.key,
            body_sha256=self.keyed.body_sha256,
            run_id=run_id,
            expires_at=self.clock() + (self.retention_days + 1) * DAY_MS,
            status=answer.status,
            body=json.dumps(answer.body, separators=(",", ":"), ensure_ascii=False),
        )

    def keep(self, run_id: str, answer: Answer) -> Answer:
        """Keep the answer of a request that changed nothing."""
        claim = self.claim(run_id, answer)
        if claim is not None:
            self.runs.keep_claim(claim, now_ms=self.clock())
        return answer

    def _kept(self) -> Answer | None:
        if self.keyed.key is None:
            return None
        claim = self.runs.claimed(self.caller.tenant, self.keyed.operation, self.keyed.key)
        if claim is None or claim.expires_at <= self.clock():
            return None
        if claim.body_sha256 != self.keyed.body_sha256:
            raise IdempotencyKeyReused
        return Answer(claim.status, json.loads(claim.body), replayed=True)
