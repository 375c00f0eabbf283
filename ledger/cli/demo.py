"""`ledger demo`: a recorded incident, served read-only, and the commands that find its culprit."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from ledger.cli.arguments import Parser, port
from ledger.cli.carriers import fill
from ledger.cli.examples import examples
from ledger.log.api import InUse, Unusable
from ledger.replay.importer.base import read_base
from ledger.replay.importer.run import import_log
from ledger.replay.past import ReplayError
from ledger.scheme.scheme import builtin
from ledger.server.config import Config
from ledger.server.serve import StartError, run


def main(argv: list[str]) -> int:
    """0 after Ctrl-C; 1 when the demo cannot start; 2 for a wrong command line."""
    known = examples()
    parser = Parser(prog="ledger demo", description="Serves the past of a recorded incident until Ctrl-C.")
    parser.add_argument("name", nargs="?", default="crashloop", help=f"which incident: {', '.join(known) or 'none'}")
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="keep the ledger here (else it ends with the demo)"
    )
    parser.add_argument("--secure-port", type=port, default=0, metavar="PORT", help="port to listen on (any free one)")
    given = parser.parse_args(argv)
    if given.name not in known:
        parser.error(f"there is no incident {given.name!r}. Incidents: {', '.join(known) or 'none are installed'}")
    try:
        with ExitStack() as stack:
            directory = given.data_dir or stack.enter_context(tempfile.TemporaryDirectory(prefix="ledger-demo-"))
            _serve(known[given.name], Path(directory).expanduser().resolve(), given.secure_port)
    except (ReplayError, StartError, InUse, Unusable, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _serve(example: Path, directory: Path, secure_port: int) -> None:
    scheme = builtin()
    base = read_base(str(example / "base.json.gz"), scheme)
    _, entries = import_log([str(example / "audit.jsonl.gz")], base, scheme)
    fill(directory, entries)
    config = Config(data_dir=directory, secure_port=secure_port, read_only=True)

    def announce(url: str, kubeconfig: Path) -> None:
        story = (example / "story.txt").read_text(encoding="utf-8").format(server=url)
        sys.stdout.write(screen(example.name, url, kubeconfig, directory, story))
        sys.stdout.flush()

    run(config, announce)


def screen(name: str, url: str, kubeconfig: Path, directory: Path, story: str) -> str:
    """What the user sees. Every line that is no comment can be pasted into another terminal, in order."""
    # The commands must also work where `ledger` is not on the PATH of that terminal.
    here = Path(sys.executable).parent
    settings = {"KUBECONFIG": str(kubeconfig), "LEDGER_DATA_DIR": str(directory)}
    exports = " ".join(f"{key}={shlex.quote(value)}" for key, value in settings.items())
    lines = [
        f"# {name}: the past of a real cluster, at {url} until Ctrl-C. In another terminal:",
        f"export PATH={shlex.quote(str(here))}:$PATH {exports}",
        "",
        *story.splitlines(),
    ]
    if shutil.which("kubectl") is None:
        lines += ["# kubectl is not on the PATH; this shows the same:", "ledger replay get pods -n shop --at 21:18:26"]
    return "\n".join(lines) + "\n"
