"""`python -m tests.e2e.faults [WORD …]`: the long form, or the combinations whose names hold one of the words."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.e2e.faults.matrix import matrix
from tests.e2e.faults.suite import run

LANES = 4


def main(words: list[str]) -> int:
    chosen = [each for each in matrix() if not words or any(word in each.name for word in words)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rune-faults-", ignore_cleanup_errors=True) as folder:
        tally = run(
            chosen, Path(folder), lanes=min(LANES, len(chosen)), show=lambda line: print(line, flush=True)
        )
    bad = [each.line() for each in tally.verdicts if each.wrong]
    print("\n".join(["", *bad, *tally.wrong, f"{tally.line()}, in {time.monotonic() - began:.0f} s"]))
    return 0 if tally.ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
