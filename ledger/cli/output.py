"""Where answers go: stdout, through a pager when a person reads; notes to stderr."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import orjson

from ledger.apimachinery.resource import Object
from ledger.replay.past import Past, ReplayError
from ledger.replay.printing.documents import API_VERSION, document, encode
from ledger.replay.printing.table import Column, table_lines, tsv_lines

FIRST_ROW_S = 0.05  # how long rows are gathered to choose the widths of columns, while a person waits
PIPED_FIRST_ROW_S = 2.0  # and while none does


class Out:
    """One answer's way out."""

    def __init__(self, options: argparse.Namespace, stream: IO[str] | None = None) -> None:
        self.options = options
        self.stream = stream or sys.stdout
        self.terminal = self.stream.isatty()

    @property
    def format(self) -> str:
        return str(self.options.output)

    @property
    def width(self) -> int:
        """0: never cut. Only a terminal cuts, unless --width says so."""
        if self.options.width is not None:
            return int(self.options.width)
        return shutil.get_terminal_size().columns if self.terminal else 0

    @property
    def coloured(self) -> bool:
        wanted = self.options.color
        if wanted != "auto" or self.format not in ("table", "wide"):
            return bool(wanted == "always")
        return self.terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"

    @property
    def ascii(self) -> bool:
        """Whether other characters are escaped: by --ascii, and where the stream cannot write them."""
        return bool(self.options.ascii) or "utf" not in (getattr(self.stream, "encoding", None) or "utf-8").lower()

    @property
    def cuts(self) -> bool:
        """Whether long values and ids may be shortened: for people yes, in pipes never."""
        return bool(self.width)

    def lines(self, lines: Iterable[str]) -> int:
        """Writes as lines come; the number of lines."""
        count, coloured = 0, self.coloured
        for line in lines:
            line = painted(line) if coloured else line
            self.stream.write((escaped(line) if self.ascii else line) + "\n")
            count += 1
            if self.terminal:
                self.stream.flush()
        return count

    def table(self, columns: list[Column], rows: Iterable[list[str] | None]) -> int:
        """A table or tab-separated rows; the number of lines."""
        header = not self.options.no_headers
        if self.format == "tsv":
            return self.lines(tsv_lines(columns, rows, header=header))
        deadline = time.monotonic() + (FIRST_ROW_S if self.terminal else PIPED_FIRST_ROW_S)
        return self.lines(
            table_lines(columns, rows, width=self.width, header=header, enough=lambda: time.monotonic() > deadline)
        )

    def document(
        self, kind: str, past: Past, query: Object, items: Iterable[Object], summary: Callable[[], Object]
    ) -> None:
        """json and yaml: one document; jsonl: one line an item, then the summary."""
        if self.format == "jsonl":
            count = self.lines(encode(item, indent=False) for item in items)
            end = {"apiVersion": API_VERSION, "kind": kind, "query": query, "summary": {"items": count, **summary()}}
            self.lines([encode(end, indent=False)])
            return
        listed = list(items)
        self.encoded(document(kind, past, str(self.options.data_dir), query, listed, summary()))

    def encoded(self, value: Any) -> None:
        """One value as JSON or YAML."""
        if self.format == "yaml":
            from ledger.replay.printing.yamltext import yaml_text

            self.stream.write(yaml_text(orjson.loads(orjson.dumps(value)), ascii_only=self.ascii))
        else:
            self.lines([encode(value, indent=self.format != "jsonl")])

    def note(self, text: str) -> None:
        if not self.options.quiet:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


def escaped(line: str) -> str:
    """The line in ASCII, with JSON's escapes, so that a document stays one."""
    return line if line.isascii() else _OTHER.sub(lambda found: json.dumps(found[0])[1:-1], line)


_OTHER = re.compile(r"[^\x00-\x7f]+")
_COLOURS = {"+": "32", "-": "31", "~": "33"}
_MARK = re.compile(r"\s*([+~-]) \S")
_REFUSED = re.compile(r"\b4\d\d [A-Z][A-Za-z]+|\b(?:inferred|unknown)\b")


def painted(line: str) -> str:
    """The line in colour: + - ~ at its beginning carry the meaning, colour repeats it; refusals and doubts are bold."""
    if mark := _MARK.match(line):
        return f"\033[{_COLOURS[mark[1]]}m{line}\033[0m"
    return _REFUSED.sub(lambda found: f"\033[1m{found[0]}\033[0m", line)


@contextmanager
def paged(options: argparse.Namespace) -> Iterator[Out]:
    """An Out whose lines go through $LEDGER_PAGER, $PAGER or less, where a person reads a table on a terminal."""
    wanted = (
        sys.stdout.isatty() and not options.no_pager and options.output in ("table", "wide") and "CI" not in os.environ
    )
    command = os.environ.get("LEDGER_PAGER") or os.environ.get("PAGER") or "less -FRX"
    if not wanted or command == "cat" or shutil.which(shlex.split(command)[0]) is None:
        yield Out(options)
        return
    pager = subprocess.Popen(shlex.split(command), stdin=subprocess.PIPE, text=True, encoding="utf-8")
    assert pager.stdin is not None
    out = Out(options, pager.stdin)
    out.terminal = True
    try:
        yield out
    except BrokenPipeError:
        pass  # the reader has seen enough
    finally:
        with contextlib.suppress(BrokenPipeError):
            pager.stdin.close()
        pager.wait()


def check_strict(options: argparse.Namespace, doubtful: bool) -> None:
    """Raises ReplayError (exit 4) when --strict was given and the answer rests on guesses."""
    if options.strict and doubtful:
        raise ReplayError("parts of this answer are inferred or unknown (--strict); `info --quality` lists which.", 4)
