"""What the use cases need from the outside world. Adapters and their one port suite implement these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, Protocol

from rune_common.domain.approvals import Approval
from rune_common.domain.artifacts import Artifact
from rune_common.domain.chains import ChainState
from rune_common.domain.events import Event
from rune_common.domain.runs import Run, RunKind, RunState

Clock = Callable[[], int]
"""Now, in epoch milliseconds."""

NewId = Callable[[], str]
"""A new UUIDv7 as text."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a run was asked to do, with its secrets, for the worker only.

    `document` is the validated request as JSON; `secrets` holds what may exist only sealed (a kubeconfig).
    It is stored outside the log and deleted when the run ends.
    """

    document: Mapping[str, Any]
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IdempotencyClaim:
    """An idempotency key used by a request (jobs-api.md 4.4). Scope is (tenant, operation, key).

    `status` and `body` (JSON) are the answer that a repetition gets (runs-api.md 1.5), where one is kept.
    """

    tenant: str
    operation: str
    key: str
    body_sha256: str
    run_id: str
    expires_at: int
    status: int = 0
    body: str = ""


@dataclass(frozen=True, slots=True)
class Producer:
    """That an event was appended under a producer's key: its place, and the digest of what was sent."""

    key: str
    sequence: int
    digest: str = ""


LARGEST_SNAPSHOT = 300_000
"""Bytes of a snapshot that is still kept."""


@dataclass(frozen=True, slots=True)
class FoldSnapshot:
    """What a log says up to a sequence, as bytes of a form that `form` names (ADR 0008).

    It only saves reading: whoever does not find one, or not one of its own form, folds the log.
    """

    sequence: int
    form: str
    data: bytes


@dataclass(frozen=True, slots=True)
class RunChange:
    """One transaction on a run: `before` is what it was decided on, `events` continue its log.

    The write succeeds only if the stored revision is still `before.revision`. The tenant's counters of
    unfinished and running runs follow from the two states. `result` is the job's result, kept beside the
    record; `forget_request` deletes the stored request with its secrets. `artifacts` enter the run's index.
    `chain` replaces the stored state of a chain's steps. `claim`: the idempotency key that asked for this.
    `approvals` are stored as they are now, each by its id. `conversation` is what a paused agent goes on from; it
    is kept sealed, replaces an older one, and is deleted with the request.
    """

    before: Run
    after: Run
    events: tuple[Event, ...] = ()
    producers: tuple[Producer, ...] = ()
    result: Mapping[str, Any] | None = None
    forget_request: bool = False
    artifacts: tuple[Artifact, ...] = ()
    chain: ChainState | None = None
    claim: IdempotencyClaim | None = None
    approvals: tuple[Approval, ...] = ()
    conversation: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs a list shows; empty means all. Times are epoch ms, half-open: after <= created < before."""

    states: tuple[RunState, ...] = ()
    kinds: tuple[RunKind, ...] = ()
    created_after: int | None = None
    created_before: int | None = None
    order: Literal["asc", "desc"] = "desc"
    mode: str | None = None
    repo: str | None = None
    parent_run_id: str | None = None

    @property
    def searching(self) -> bool:
        """Whether it asks for what no index knows, so that any number of runs may have to be looked at."""
        return (self.mode, self.repo, self.parent_run_id) != (None, None, None)

    def takes(self, run: Run) -> bool:
        return (
            (not self.states or run.state in self.states)
            and (not self.kinds or run.kind in self.kinds)
            and (self.created_after is None or self.created_after <= run.created_at)
            and (self.created_before is None or run.created_at < self.created_before)
            and self.mode in (None, run.mode)
            and self.repo in (None, run.repo)
            and self.parent_run_id in (None, run.parent_run_id)
        )


@dataclass(frozen=True, slots=True)
class RunPage:
    """`next_position` is the run id to go on after, None at the end. A page may be short before the end."""

    runs: tuple[Run, ...]
    next_position: str | None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in ascending order; `more` says whether any follow the last of them."""

    events: tuple[Event, ...]
    more: bool


class RunStore(Protocol):
    """Runs, their logs and what belongs to them. Reads are strongly consistent unless they say otherwise."""

    def create(
        self,
        run: Run,
        request: RunRequest,
        events: Sequence[Event],
        *,
        claim: IdempotencyClaim | None = None,
        max_active: int | None = None,
        chain: ChainState | None = None,
    ) -> None:
        """Store a new run in one transaction.

        Raises IdempotencyKeyTaken (read the winner with `claimed`), TooManyActiveRuns, Unavailable.
        """
        ...

    def claimed(self, tenant: str, operation: str, key: str) -> IdempotencyClaim | None: ...

    def get(self, tenant: str, run_id: str) -> Run | None: ...

    def request(self, tenant: str, run_id: str) -> RunRequest | None: ...

    def request_document(self, tenant: str, run_id: str) -> Mapping[str, Any] | None:
        """The request without its secrets, which stay sealed."""
        ...

    def result(self, tenant: str, run_id: str) -> Mapping[str, Any] | None: ...

    def results(self, tenant: str, run_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]: ...

    def chain(self, tenant: str, run_id: str) -> ChainState | None:
        """The steps of a run of kind `chain`, as its last change left them."""
        ...

    def commit(self, change: RunChange) -> None:
        """Raises RunChanged when somebody else wrote first, also for a producer key that exists.

        Raises IdempotencyKeyTaken for a claim whose key is in use.
        """
        ...

    def keep_claim(self, claim: IdempotencyClaim, *, now_ms: int) -> None:
        """Store the answer of a request that changed nothing. Raises IdempotencyKeyTaken."""
        ...

    def producers(self, tenant: str, run_id: str, keys: Sequence[str]) -> Mapping[str, Producer]:
        """Those of the producer keys under which something was appended."""
        ...

    def snapshots(self, tenant: str, run_ids: Sequence[str]) -> Mapping[str, FoldSnapshot]: ...

    def keep_snapshot(self, run: Run, snapshot: FoldSnapshot) -> None:
        """Replaces an older one; a newer one, or one that is too large to keep, is left alone."""
        ...

    def claim_slot(self, run: Run, *, owner: str, max_running: int, now_ms: int) -> Run | None:
        """Count a queued run as running; None when no slot is free or the run is no longer waiting."""
        ...

    def beat(self, tenant: str, run_id: str, attempt_id: str, *, now_ms: int) -> Run:
        """Note that an attempt is alive and read the run. Raises AttemptSuperseded, RunNotFound."""
        ...

    def list(self, tenant: str, where: RunFilter, *, limit: int, after: str | None = None) -> RunPage:
        """A page in order of creation (eventually consistent). Cost is O(page)."""
        ...

    def waiting(self, tenant: str, *, limit: int) -> Sequence[Run]:
        """Queued runs of a tenant without a slot, oldest first (eventually consistent)."""
        ...

    def due(self, *, now_ms: int, limit: int) -> Sequence[Run]:
        """Unfinished runs of all tenants whose `due_at` has passed, longest first (eventually consistent)."""
        ...

    def unfinished(self, owner: str, *, limit: int) -> Sequence[Run]:
        """Unfinished runs that an engine owns; what a restarted engine has to look at."""
        ...

    def events(self, tenant: str, run_id: str, *, after: int = 0, limit: int = 1000) -> EventPage: ...

    def artifacts(self, tenant: str, run_id: str) -> Sequence[Artifact]:
        """The run's artifacts, oldest first."""
        ...

    def artifact(self, tenant: str, run_id: str, artifact_id: str) -> Artifact | None: ...

    def approvals(self, tenant: str, run_id: str) -> Sequence[Approval]:
        """The run's approvals, oldest first."""
        ...

    def conversation(self, tenant: str, run_id: str) -> Mapping[str, Any] | None:
        """What the run's paused agent goes on from; for the agent's worker only."""
        ...


class BlobStore(Protocol):
    """Bytes by key: artifacts and payloads too large for the table. Raises BlobNotFound, Unavailable."""

    def put(self, key: str, content: bytes) -> None: ...
    def get(self, key: str) -> bytes: ...
    def delete(self, key: str) -> None: ...

    def put_new(self, key: str, content: bytes) -> bool:
        """Store unless something is there already; False when there is. Of several writers one succeeds."""
        ...

    def put_file(self, key: str, file: BinaryIO) -> None:
        """Store all of a seekable file without holding it."""
        ...

    def chunks(self, key: str) -> Iterator[bytes]:
        """The blob in parts, none larger than 1 MiB. Raises before the first part if there is none."""
        ...

    def link(self, key: str, *, seconds: int, filename: str) -> str | None:
        """Where anybody can fetch the blob for so long; None if the store has no address of its own."""
        ...


class Sealer(Protocol):
    """Authenticated encryption. `context` must be equal on both sides, else `open` raises ValueError."""

    def seal(self, plain: bytes, context: str) -> bytes: ...
    def open(self, sealed: bytes, context: str) -> bytes: ...
