"""`python -m benchmarks`: runs every benchmark, one after the other, and writes docs/reference/performance.md.

`--quick` runs their short forms and writes nothing: numbers of so few repetitions are worth nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.outcome import Outcome, read_outcome
from benchmarks.page import BENCHMARKS, page
from rune.local.functions import ROOT

PAGE = ROOT / "docs" / "reference" / "performance.md"
LONGEST_SECONDS = 600.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--quick", action="store_true", help="short forms; the page is left as it is")
    quick = parser.parse_args().quick
    found = list(_outcomes(quick=quick))
    if not quick:
        PAGE.write_text(page(found))
        print(f"wrote {PAGE.relative_to(ROOT)}", file=sys.stderr)
    return 0


def _outcomes(*, quick: bool) -> Iterator[Outcome]:
    for name in BENCHMARKS:
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *(["--quick"] if quick else [])],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=LONGEST_SECONDS,
        )
        print(done.stdout, end="", flush=True)
        yield read_outcome(done.stdout)


if __name__ == "__main__":
    raise SystemExit(main())
