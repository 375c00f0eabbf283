"""`ledger kubeconfig`: a kubeconfig for the admin; with --at, one whose server is a past moment."""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC
from pathlib import Path

from ledger.cli.arguments import Parser
from ledger.cli.replay import now_us, protected
from ledger.cli.serve import DEFAULT_DATA_DIR
from ledger.log.api import InUse, Unusable
from ledger.projections.store import Store
from ledger.replay.moments import resolve
from ledger.replay.past import Past, ReplayError
from ledger.server.admin_kubeconfig import NoKubeconfig, at_moment

# What a server's /at/ takes as it is. Other forms (-15m, 21:17, "before 748bd20d") become the revision they mean.
SERVED_FORMS = re.compile(r"(rv:)?\d+|\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})")


def main(argv: list[str]) -> int:
    """0 when written; 1 when the data directory does not tell enough; 2 for a wrong command line or moment."""
    data_dir = os.environ.get("LEDGER_DATA_DIR") or DEFAULT_DATA_DIR
    parser = Parser(prog="ledger kubeconfig", description="Prints a kubeconfig for the admin of a ledger.")
    parser.add_argument("--at", default="", metavar="TIME|rv:N", help="its server is this moment, read-only")
    parser.add_argument("--data-dir", default=data_dir, metavar="DIR", help=f"the ledger (default {data_dir})")
    parser.add_argument("--server", default="", metavar="URL", help="where it is served (default: where it was last)")
    parser.add_argument("-o", "--output-file", default="-", metavar="FILE", help="where to write it (- : stdout)")
    given = parser.parse_args(protected(argv))
    directory = Path(given.data_dir).expanduser()
    try:
        text = at_moment(directory, _checked(directory, given.at), given.server)
        _write(given.output_file, text)
    except ReplayError as error:
        sys.stderr.write(f"error: --at: {error}\n")
        return 2
    except (NoKubeconfig, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _checked(directory: Path, moment: str) -> str:
    """The moment as a server's path takes it. Raises ReplayError when it is none, or lies outside the log."""
    if not moment:
        return ""
    served = SERVED_FORMS.fullmatch(moment) is not None
    try:
        with Store.open(directory, read_only=True) as store:
            revision = resolve(Past(store, now_us()), moment, zone=UTC).revision
    except (InUse, Unusable) as error:
        if served:  # the log may be on another machine; the server judges the moment then
            return moment
        raise ReplayError(f'what "{moment}" means stands in the log, and {error}') from None
    if revision < 1:
        raise ReplayError(f"{moment} is before the log, whose first revision is 1")
    return moment if served else f"rv:{revision}"


def _write(file: str, text: str) -> None:
    if file == "-":
        sys.stdout.write(text)
        return
    path = Path(file)
    path.touch(mode=0o600)  # it holds the admin's key
    path.write_text(text)
