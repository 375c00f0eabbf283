"""import, export, verify, rebuild: a ledger in, out, checked, folded again."""

from __future__ import annotations

import argparse
import gc
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from ledger.cli.output import Out
from ledger.cli.replay import now_us
from ledger.cli.source import data_dir, moment, open_past
from ledger.log.api import Entry
from ledger.log.lmdb_file import FILE
from ledger.projections.store import Store
from ledger.replay.against import agreement_lines, compare_with
from ledger.replay.export import records
from ledger.replay.importer.base import read_base
from ledger.replay.importer.redact import Redaction
from ledger.replay.importer.report import Report
from ledger.replay.importer.run import import_log
from ledger.replay.past import Past, ReplayError
from ledger.replay.printing.documents import API_VERSION, encode
from ledger.replay.printing.overviews import import_lines
from ledger.replay.verify import Report as Verified
from ledger.scheme.scheme import builtin

ENTRIES_A_COMMIT = 2000


def import_(options: argparse.Namespace) -> int:
    """Builds a ledger in a new (or empty) data directory."""
    out = Out(options)
    directory = data_dir(options)
    scheme = builtin()
    base = read_base(options.base, scheme) if options.base else None
    files = [*options.files, *(file for _, file in options.apiserver)]
    if not files:
        raise ReplayError("import what? Give audit logs: FILE... or --apiserver NAME=FILE.")
    for name in files:
        Path(name).open("rb").close()  # before anything is made
    redaction = Redaction(secrets.token_bytes(32)) if options.redact == "secrets" else None
    report, entries = import_log(files, base, scheme, redaction)
    for server, file in options.apiserver:
        report.apiservers.setdefault(server, []).append(file)
    if not report.records and base is None:
        raise ReplayError(f"{', '.join(files)}: no audit events in here; is it an audit log?", 3)
    if options.on_gap == "stop":
        entries = _without_gaps(entries, report)
    with _no_collector():
        fill(directory, _with_progress(entries, report, options))
    if out.format in ("json", "yaml", "jsonl"):
        out.encoded({"apiVersion": API_VERSION, "kind": "ImportReport", **report.to_json()})
    else:
        out.lines(import_lines(report.to_json(), str(directory)))
    return 0


def _without_gaps(entries: Iterator[Entry], report: Report) -> Iterator[Entry]:
    """Raises ReplayError at the first gap that is known of, at the latest after the last entry."""
    for entry in entries:
        if report.gaps:
            break
        yield entry
    if report.gaps:
        raise ReplayError(f"the log has a gap: {report.gaps[0]}. Nothing is imported (--on-gap stop).", 3)


def fill(directory: Path, entries: Iterator[Entry]) -> None:
    """Makes a ledger of imported entries, whole or not at all. Raises ReplayError when the directory holds one already."""
    if (directory / FILE).exists():
        raise ReplayError(f"{directory} already holds a ledger: import into a directory of its own", 3)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix=".import-", dir=directory) as scratch:
        # Nothing to lose until it is done: commits need not wait for the disk, the whole file does before it gets its place.
        with Store.open(scratch, durability="relaxed") as store:
            for chunk in _chunks(entries):
                store.append_imported(chunk)
        with (Path(scratch) / FILE).open("rb") as file:
            os.fsync(file.fileno())
        (Path(scratch) / FILE).rename(directory / FILE)


@contextmanager
def _no_collector() -> Iterator[None]:
    """An import makes no cycles, and a great many objects: looking for cycles among them takes a tenth of its time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _chunks(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    while chunk := list(islice(entries, ENTRIES_A_COMMIT)):
        yield chunk


def _with_progress(entries: Iterator[Entry], report: Report, options: argparse.Namespace) -> Iterator[Entry]:
    """Says on a terminal how far it is, from the first second on."""
    said = time.monotonic()
    visible = sys.stderr.isatty() and not options.quiet
    drawn = False
    for count, entry in enumerate(entries, 1):
        yield entry
        if visible and count % 500 == 0 and time.monotonic() - said > 1:
            said, drawn = time.monotonic(), True
            sys.stderr.write(f"\rimported {count:,} of {report.events:,} requests")
            sys.stderr.flush()
    if drawn:
        sys.stderr.write("\r\033[K")


def export(options: argparse.Namespace) -> int:
    """Audit records, oldest first, one a line."""
    with open_past(options) as past:
        since, until = moment(past, options.since, options), moment(past, options.until, options)
        found = records(past, since.position, until.position, options.namespace)
        lines = (encode(record, indent=False) for record in found)
        if options.output_file == "-":
            Out(options).lines(lines)
            return 0
        with Path(options.output_file).open("w", encoding="utf-8") as file:
            count = Out(options, file).lines(lines)
    Out(options).note(f"{count:,} records written to {options.output_file}")
    return 0


def verify(options: argparse.Namespace) -> int:
    """0 when the chain is unbroken and every projection is what the log folds to, else 6; 1: a snapshot differs."""
    from ledger.replay.verify import verify as verified

    snapshot = read_base(options.against, builtin()) if options.against else None
    out = Out(options)
    with Store.open(data_dir(options), read_only=True) as store:
        begun = time.monotonic()
        report = verified(store, head_link=options.head)
        took = time.monotonic() - begun
        agreement = compare_with(Past(store, now_us()), snapshot) if snapshot and report.intact else None
    if out.format in ("json", "yaml", "jsonl"):
        out.encoded(
            {
                "apiVersion": API_VERSION,
                "kind": "Verification",
                "intact": report.intact,
                "events": report.events,
                "changes": report.changes,
                "revision": str(report.revision),
                "link": report.link,
                "damage": str(report.damage) if report.damage else "",
                "dropped": {
                    "events": report.dropped.events,
                    "changes": report.dropped.changes,
                    "requestsUpto": report.retained.reads,
                    "horizons": report.retained.horizons,
                },
                **({"snapshot": agreement.to_json()} if agreement else {}),
            }
        )
    elif report.intact:
        proof = "published head found" if options.head else "no published head given: this proves order, not origin"
        out.lines(
            [
                f"chain     {report.events:,} events, unbroken, head {report.link} ({proof})",
                *_dropped_lines(report),
                f"fold      {report.changes:,} changes, rv {report.revision} reached in {took:.2f} s; projections identical",
                *(agreement_lines(agreement, options.against) if agreement else ()),
            ]
        )
    if report.damage is not None:
        sys.stderr.write(f"error: the log is damaged: {report.damage}\n")
        return 6
    return 1 if agreement is not None and not agreement.same and not options.exit_zero else 0


def _dropped_lines(report: Verified) -> list[str]:
    """What retention dropped: the chain proves that it was there, not what it was."""
    if not report.retained.upto:
        return []
    horizons = [f"{name.strip('/')} before rv {horizon}" for name, horizon in sorted(report.retained.horizons.items())]
    where = "; ".join([*horizons, f"requests that changed nothing up to the {report.retained.reads:,}th"])
    return [f"dropped   {report.dropped.events:,} events, {report.dropped.changes:,} changes of others: {where}"]


def rebuild(options: argparse.Namespace) -> int:
    """Folds every projection again; needs the data directory to itself."""
    from ledger.replay.rebuild import rebuild as rebuilt

    begun = time.monotonic()
    reached = rebuilt(data_dir(options))
    took = time.monotonic() - begun
    Out(options).lines([f"rebuilt   {reached.position:,} events folded up to rv {reached.revision} in {took:.2f} s"])
    return 0
