from __future__ import annotations

import os
import sys

from rune.sandbox.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
