"""`ledger replay`: ask the log what happened, what was, who did it and whether it is true.

Answers go to stdout, everything else to stderr. Exit status: 0 answered; 1 answered with "it differs" or "nothing
found"; 2 wrong command line; 3 the source cannot be read; 4 --strict and part of the answer is inferred or unknown;
6 the log is damaged; 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ledger.cli.arguments import Parser

OUTPUTS = ("table", "wide", "yaml", "json", "jsonl", "name", "tsv")

QUESTIONS = """\
what happened    ledger replay log -n shop --from -1h            requests, newest first, with what each changed
what is in it    ledger replay info --quality                    range, writers, kinds, and what cannot be known
what is not      ledger replay info --unknowable --at 21:17      objects and fields of a moment that the log does not tell
what was         ledger replay get pods -n shop --at 21:17:13    kubectl's table at any moment
what differs     ledger replay diff 890 1202 -n shop             field by field, with the request behind each
since when       ledger replay history cm/orders-config --path data.PORT    every value and who gave it
who and how      ledger replay show 748bd20d                     one request: user, rule, what it asked and did
is it true       ledger replay verify; ledger replay rebuild     hash chain and projections

carriers         ledger replay import AUDIT.jsonl.gz --base SNAPSHOT.json --data-dir DIR
                 ledger replay export --data-dir DIR > audit.jsonl

The ledger is --data-dir DIR or $LEDGER_DATA_DIR. `ledger replay QUESTION --help` tells the flags.
Moments: rv:924, 2026-11-22T21:17:13Z, 21:17, -15m, start, end, start+1m, 748bd20d, "before 748bd20d", @base.
"""

# subcommand -> (module under ledger.cli, its function, one line of help)
SUBCOMMANDS = {
    "import": ("carriers", "import_", "turn audit logs of a cluster into a ledger"),
    "export": ("carriers", "export", "write the log as audit.k8s.io/v1 JSON lines"),
    "info": ("questions", "info", "what the ledger holds, and what it cannot tell"),
    "log": ("log", "log", "requests, newest first"),
    "get": ("questions", "get", "objects as they were"),
    "diff": ("questions", "diff", "what differs between two moments"),
    "history": ("history", "history", "the revisions of one object, or the values of one field"),
    "show": ("questions", "show", "one request in full"),
    "verify": ("carriers", "verify", "check the hash chain and fold the log again"),
    "rebuild": ("carriers", "rebuild", "throw the projections away and fold them again"),
}


def main(argv: list[str]) -> int:
    """The exit status."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        sys.stdout.write(QUESTIONS)
        return 0
    if argv[0] not in SUBCOMMANDS:
        sys.stderr.write(f"error: there is no question {argv[0]!r}. Questions: {', '.join(SUBCOMMANDS)}.\n")
        return 2
    module, function, _ = SUBCOMMANDS[argv[0]]
    options = parse(argv)
    run: Callable[[argparse.Namespace], int] = getattr(importlib.import_module(f"ledger.cli.{module}"), function)
    return run_safely(run, options)


def run_safely(run: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Turns every error a user can cause into one line and its exit status."""
    from ledger.log.api import Compacted, Damaged, InUse, Unusable
    from ledger.replay.importer.base import BadSnapshot
    from ledger.replay.past import ReplayError

    begun = time.monotonic()
    try:
        code = run(options)
        if options.verbose:
            sys.stderr.write(f"took {time.monotonic() - begun:.3f} s\n")
        return code
    except ReplayError as error:
        return _fail(str(error), error.code, options)
    except Compacted as error:
        return _fail(f"{error}.", 2, options)
    except (Unusable, InUse) as error:
        return _fail(str(error), 3, options)
    except (BadSnapshot, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        return _fail(_os_text(error), 3, options)
    except Damaged as error:
        return _fail(f"the log is damaged: {error}", 6, options)


def _os_text(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _fail(message: str, code: int, options: argparse.Namespace) -> int:
    sys.stderr.write(f"error: {message}\n")
    if options.verbose > 1:
        traceback.print_exc()
    return code


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of a command line; exits with status 2 and one line when it is wrong."""
    name = argv[0]
    parser = Parser(prog=f"ledger replay {name}", description=SUBCOMMANDS[name][2])
    _common(parser)
    _OWN[name](parser)
    options = parser.parse_intermixed_args(protected(argv[1:]))
    options.argv = argv
    return options


def protected(arguments: list[str]) -> list[str]:
    """Moments such as -15m look like flags to argparse: they are joined to the flag before them."""
    joined: list[str] = []
    for argument in arguments:
        if argument[:1] == "-" and argument[1:2].isdigit() and joined and joined[-1] in _MOMENT_FLAGS:
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


_MOMENT_FLAGS = ("--at", "--from", "--to")


def _common(parser: Parser) -> None:
    parser.add_argument("--data-dir", default=os.environ.get("LEDGER_DATA_DIR"), metavar="DIR", help="the ledger")
    parser.add_argument("-o", "--output", default="table", choices=OUTPUTS, metavar="|".join(OUTPUTS))
    parser.add_argument("--tz", type=_zone, default=UTC, metavar="ZONE", help="zone of times given without one")
    parser.add_argument("--time", default="utc", choices=("utc", "local", "none"), help="how times are printed")
    parser.add_argument("--no-headers", action="store_true", help="leave a table's first line out")
    parser.add_argument("--width", type=int, default=None, metavar="N", help="cut tables to N columns; 0: never")
    parser.add_argument("--color", default="auto", choices=("auto", "always", "never"), help="marks in colour")
    parser.add_argument("--ascii", action="store_true", help="write other characters as \\uXXXX")
    parser.add_argument("--no-pager", action="store_true")
    parser.add_argument("--strict", action="store_true", help="exit 4 when the answer rests on what is inferred")
    parser.add_argument("-q", "--quiet", action="store_true", help="no notes on stderr")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="-v: how long it took; -vv: tracebacks")


def _explain(parser: Parser) -> None:
    parser.add_argument("--explain", action="store_true", help="only how the question is understood")


def _scope(parser: Parser) -> None:
    _explain(parser)
    parser.add_argument("-n", "--namespace", default="", metavar="NS")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="the default for a log in a directory")
    parser.add_argument("--noise", choices=("show", "hide"), default="hide", help="managedFields, resourceVersion, ...")


def _range(parser: Parser) -> None:
    parser.add_argument("--from", dest="since", default="start", metavar="T", help="after this moment")
    parser.add_argument("--to", dest="until", default="end", metavar="T", help="up to and including this moment")


_CLASS_HELP = "default: intent,refused,dry-run, without what the cluster's own machinery was refused"


def _log(parser: Parser) -> None:
    _scope(parser)
    _range(parser)
    parser.add_argument("targets", nargs="*", metavar="TYPE[/NAME]")
    parser.add_argument("--class", dest="classes", default="", metavar="CLASS[,CLASS]|all", help=_CLASS_HELP)
    parser.add_argument("--user", default="", help="who asked, or was spoken for")
    parser.add_argument("--group", default="", help="a group of the user")
    parser.add_argument("--verb", default="")
    parser.add_argument("-l", "--selector", default="", help="labels of the changed object")
    parser.add_argument("--grep", default="", metavar="REGEX", help="in URIs, messages, users and bodies")
    parser.add_argument(
        "--where", default="", metavar="CEL", help="'user == \"alice\" && code < 300'; see docs/replay.md"
    )
    parser.add_argument("--limit", type=int, default=None, metavar="N", help="rows; a terminal's default fits it")
    parser.add_argument("--all", action="store_true", help="no limit")
    parser.add_argument("--reverse", action="store_true", help="oldest first")
    parser.add_argument("--patch", action="store_true", help="with each row, every field")
    parser.add_argument("--stat", action="store_true", help="only counts, by user and class")
    parser.add_argument("-f", "--follow", action="store_true", help="wait for what comes")


def _get(parser: Parser) -> None:
    _scope(parser)
    parser.add_argument("targets", nargs="+", metavar="TYPE[/NAME]")
    parser.add_argument("--at", default="end", metavar="T")
    parser.add_argument("-l", "--selector", default="")
    parser.add_argument("--deleted", action="store_true", help="also what was gone by then, as it last stood")
    parser.add_argument("--show-managed-fields", action="store_true")


def _diff(parser: Parser) -> None:
    _scope(parser)
    parser.add_argument("a", metavar="A")
    parser.add_argument("b", metavar="B")
    parser.add_argument("targets", nargs="*", metavar="TYPE[/NAME]")
    parser.add_argument("--class", dest="classes", default="intent", metavar="all", help="all: reactions in full, too")
    parser.add_argument("--stat", action="store_true", help="only counts, by kind")
    parser.add_argument("--name-only", action="store_true")
    parser.add_argument("--reverse", action="store_true", help="A may be after B")
    parser.add_argument("--exit-zero", action="store_true", help="0 also when something differs")


def _history(parser: Parser) -> None:
    _scope(parser)
    parser.add_argument("targets", nargs="+", metavar="TYPE/NAME")
    parser.add_argument("--at", default="end", metavar="T", help="the history up to this moment")
    parser.add_argument("--path", default="", metavar="P", help="only the values of this field")
    parser.add_argument("--patch", action="store_true", help="with each row, every field")
    parser.add_argument("--exit-zero", action="store_true")


def _show(parser: Parser) -> None:
    _scope(parser)
    parser.add_argument("id", nargs="+", metavar="AUDIT_ID|rv:N")
    parser.add_argument("--raw", action="store_true", help="the audit record itself")


def _info(parser: Parser) -> None:
    _explain(parser)
    parser.add_argument("--quality", action="store_true", help="each change that is inferred or unknown")
    parser.add_argument("--unknowable", action="store_true", help="what the log does not tell of a moment")
    parser.add_argument("--at", default="end", metavar="T", help="the moment, with --unknowable")


def _import(parser: Parser) -> None:
    parser.add_argument("files", nargs="*", metavar="AUDIT.jsonl[.gz]")
    parser.add_argument(
        "--apiserver", action="append", default=[], type=_named_file, metavar="NAME=FILE", help="a file with its server"
    )
    parser.add_argument("--redact", choices=("secrets", "none"), default="secrets", help="digests for secrets' values")
    parser.add_argument(
        "--on-gap", choices=("keep", "stop"), default="keep", help="stop: import nothing of a log with gaps"
    )
    parser.add_argument(
        "--base", default=None, metavar="SNAPSHOT", help="the state at one revision: a List or snapshot"
    )


def _export(parser: Parser) -> None:
    _range(parser)
    parser.add_argument("-n", "--namespace", default="", metavar="NS")
    parser.add_argument("-O", "--output-file", default="-", metavar="FILE")


def _verify(parser: Parser) -> None:
    parser.add_argument("--head", default="", metavar="HASH", help="a link published earlier: it must be in the chain")
    parser.add_argument(
        "--against", default="", metavar="SNAPSHOT", help="a List or snapshot, to compare with its moment"
    )
    parser.add_argument("--exit-zero", action="store_true", help="0 also when the snapshot differs")


_OWN: dict[str, Callable[[Parser], None]] = {
    "import": _import,
    "export": _export,
    "info": _info,
    "log": _log,
    "get": _get,
    "diff": _diff,
    "history": _history,
    "show": _show,
    "verify": _verify,
    "rebuild": lambda parser: None,
}


def _named_file(text: str) -> tuple[str, str]:
    name, equals, file = text.partition("=")
    if not (name and equals and file):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FILE")
    return name, file


def _zone(text: str) -> tzinfo:
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time zone such as Europe/Berlin") from None


def now_us() -> int:
    return time.time_ns() // 1000
