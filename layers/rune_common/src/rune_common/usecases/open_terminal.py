"""Where a terminal's connection starts (runs-api.md 5.1)."""

from __future__ import annotations

from rune_common.domain.access import Principal
from rune_common.domain.ports import RunStore
from rune_common.domain.runs import Run, RunKind, RunState
from rune_common.domain.terminal_inputs import Opened
from rune_common.usecases.find_run import find_run

STATUS_WORDS = {RunState.SUCCEEDED: "completed"}


def open_terminal(
    run_id: str, caller: Principal, *, cursor: str | None, acknowledges: bool, runs: RunStore
) -> tuple[Run, Opened]:
    """Raises RunNotFound."""
    run = find_run(run_id, caller, runs=runs)
    return run, opened(run, cursor=cursor, acknowledges=acknowledges)


def opened(run: Run, *, cursor: str | None, acknowledges: bool) -> Opened:
    return Opened(
        run_id=run.run_id,
        status=STATUS_WORDS.get(run.state, str(run.state)),
        head_seq=run.reported.terminal_seq,
        head_position=run.head.sequence,
        cursor=cursor,
        ended=run.head.terminal,
        acknowledges=acknowledges,
        one_step=run.kind is RunKind.COMMAND,
    )
