from __future__ import annotations

from rune_common.adapters.dynamodb_stream import RunMoved
from rune_common.adapters.scratch_files import ScratchFiles
from rune_common.usecases.count_run import count_evidence_check
from rune_common.usecases.seal_evidence import seal_evidence
from rune_common.wiring import Services


def consume(moved: RunMoved, services: Services) -> None:
    """Seal the evidence of a run that ended, and count what its check found."""
    if not moved.ended:
        return
    with ScratchFiles() as scratch:
        sealed = seal_evidence(moved.tenant, moved.run_id, ports=services.evidence_ports(scratch))
    run = services.runs.get(moved.tenant, moved.run_id)
    if run is not None:
        count_evidence_check(
            run, verified=sealed.verified, reproduced=bool(sealed.reproducible), rows=services.daily_rows
        )
