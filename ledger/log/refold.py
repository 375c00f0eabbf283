"""Brings folds up to date: what is missing, behind, or of another version is folded again from the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from cbor2 import dumps, loads

from ledger.log.api import Entry, Fold, Read
from ledger.log.sequencer import Rows, apply

SLICE = 4096  # events a transaction

Progress = Callable[[int, int], None]  # events folded so far, events to fold


class Checkpoint(NamedTuple):
    version: int
    position: int


class Log(Protocol):
    """What folds are made of."""

    def read(self) -> AbstractContextManager[Read]: ...


class Tables(Protocol):
    """What folds are written to."""

    def write_rows(self, rows: Rows) -> None: ...  # one transaction
    def clear(self, tables: Sequence[str]) -> None: ...


class LogAndTables(Log, Tables, Protocol):
    """Both in one place, as in a store."""


def bring_up_to_date(tables: LogAndTables, folds: Sequence[Fold], progress: Progress | None = None) -> list[str]:
    """Folds whatever the checkpoints say is missing; the names of the folds that were."""
    with tables.read() as read:
        end = read.last_position()
        behind = [(fold, checkpoint(read, fold)) for fold in folds if checkpoint(read, fold) != (fold.version, end)]
    starts: dict[int, list[Fold]] = {}
    for fold, found in behind:
        usable = found.version == fold.version and found.position <= end
        if not usable:
            tables.clear(fold.tables)
        starts.setdefault(found.position if usable else 0, []).append(fold)
    for after, together in sorted(starts.items()):
        refold(tables, tables, together, after, end, progress)
    return [fold.name for fold, _ in behind]


def refold(
    log: Log, target: Tables, folds: Sequence[Fold], after: int, upto: int, progress: Progress | None = None
) -> None:
    """Folds the events after position `after`, `upto` included, in slices that each move the checkpoints along."""
    done = after
    while True:
        rows: Rows = {}
        with log.read() as read:
            for entry in entries(read, done, min(SLICE, upto - done)):
                for fold in folds:
                    apply(rows, fold.changes(entry))
        done = min(done + SLICE, upto)  # the last events of a slice may have been dropped
        rows["checkpoints"] = {fold.name.encode(): dumps([fold.version, done]) for fold in folds}
        target.write_rows(rows)
        if progress is not None:
            progress(done - after, upto - after)
        if done >= upto:
            return


def entries(read: Read, after: int, limit: int) -> Iterator[Entry]:
    """The log as folds see it."""
    for event in read.events(after, limit):
        changes = [read.change(revision) for revision in event.revisions]
        yield Entry(event, tuple([change for change in changes if change is not None]))


def checkpoint(read: Read, fold: Fold) -> Checkpoint:
    """How far a fold's tables are filled; version -1 when there are none."""
    row = read.get("checkpoints", fold.name.encode())
    return Checkpoint(-1, 0) if row is None else Checkpoint(*loads(row))
