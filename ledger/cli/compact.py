"""`ledger compact`: lets go of what the retention flags no longer keep, and gives the disk back what is free."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from ledger.cli.arguments import Parser
from ledger.cli.replay import now_us
from ledger.cli.retention import add_retention_flags, is_chosen, policy_of
from ledger.cli.serve import DEFAULT_DATA_DIR
from ledger.log.api import Unusable
from ledger.log.lmdb_file import FILE, copy_compactly
from ledger.server.retention import sweep_closed


def main(argv: list[str]) -> int:
    """0 when done; 1 when the data directory is in use or cannot be written; 2 for a wrong command line."""
    data_dir = os.environ.get("LEDGER_DATA_DIR") or DEFAULT_DATA_DIR
    parser = Parser(
        prog="ledger compact",
        description="Drops what the flags no longer keep from a ledger that no server has open. A server does so itself.",
        allow_abbrev=False,
    )
    parser.add_argument("--data-dir", default=data_dir, metavar="DIR", help=f"the ledger (default {data_dir})")
    add_retention_flags(parser)
    parser.flag("--copy", True, "write the file anew, without the pages that became free")
    given = parser.parse_args(argv)
    directory = Path(given.data_dir).expanduser()
    try:
        before = _size(directory)
        started = time.monotonic()
        dropped = sweep_closed(directory, policy_of(given), now_us(), imported_too=is_chosen(given))
        if given.copy:
            copy_compactly(directory)
    except (Unusable, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(
        f"dropped   {dropped.events:,} events, {dropped.changes:,} changes in {time.monotonic() - started:.2f} s\n"
    )
    sys.stdout.write(f"file      {before:,} -> {_size(directory):,} bytes\n")
    return 0


def _size(directory: Path) -> int:
    path = directory / FILE
    return path.stat().st_size if path.exists() else 0
