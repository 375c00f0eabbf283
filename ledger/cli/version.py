"""`ledger version`."""

from __future__ import annotations

import sys
from importlib.metadata import version


def main(argv: list[str]) -> int:
    if argv:
        sys.stderr.write("error: `ledger version` takes no arguments\n")
        return 2
    sys.stdout.write(f"ledger {version('ledger')}\n")
    return 0
