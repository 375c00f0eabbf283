"""`ledger`: serve a Kubernetes API, ask the past. Each command's module is imported when it is called."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

SERVE = "ledger.cli.serve"

# command -> (module with main(argv) -> exit status, one line of help)
COMMANDS = {
    "serve": (SERVE, "serve a Kubernetes API from an embedded log"),
    "demo": ("ledger.cli.demo", "open a recorded incident and point kubectl at its past"),
    "replay": ("ledger.cli.replay", "ask the log: what happened, what was, who did it, is it true"),
    "kubeconfig": ("ledger.cli.kubeconfig", "print a kubeconfig, also one whose server is a past moment"),
    "compact": ("ledger.cli.compact", "drop what a ledger need no longer keep, and shrink its file"),
    "version": ("ledger.cli.version", "print the version"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0 answered, 2 wrong command line, others as the command says."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(usage())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        arguments[0] = "version"
    command = COMMANDS.get(arguments[0])
    if command is None:
        sys.stderr.write(f"error: there is no command {arguments[0]!r}. Commands: {', '.join(COMMANDS)}.\n")
        return 2
    return _run(command[0], arguments[1:])


def kubectl_main() -> int:
    """`kubectl ledger X` is `ledger replay X`."""
    return _run(COMMANDS["replay"][0], sys.argv[1:])


def _run(module: str, arguments: list[str]) -> int:
    gc.disable()  # what is imported stays: to look for garbage among it takes a tenth of a start
    run: Callable[[list[str]], int] = import_module(module).main
    try:
        if module != SERVE:  # which turns this on again once it is ready
            gc.enable()
        return run(arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; what is left in the buffer must not raise once more at exit.
        sys.stdout = None  # type: ignore[assignment]
        return 0


def usage() -> str:
    lines = ["ledger: a Kubernetes API server whose database is its audit log", "", "usage: ledger COMMAND ...", ""]
    lines += [f"  {name:12} {about}" for name, (_, about) in COMMANDS.items()]
    return "\n".join([*lines, "", "ledger COMMAND --help tells more.", ""])
