"""The engine without a disk: for tests, trials and scratch folds. The same rules as LMDB's, and the same suite."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping, Sequence

import trio

from ledger.log.api import Bodies, Commit, Entry, Fold, LogClosed
from ledger.log.codec import PLAIN, number
from ledger.log.event import Change, Event, Guard
from ledger.log.refold import Progress, bring_up_to_date
from ledger.log.rows import LogRead
from ledger.log.sequencer import OBJECTS, Batch, Head, Sequencer, check_new


class Table:
    """A dict whose keys are also kept in order."""

    __slots__ = ("keys", "rows")

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.keys: list[bytes] = []

    def write(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            if self.rows.pop(key, None) is not None:
                del self.keys[bisect_left(self.keys, key)]
            return
        if key not in self.rows:
            insort(self.keys, key)
        self.rows[key] = value


class MemoryTables(dict[str, Table]):
    """Tables that are made when they are first written."""

    def __missing__(self, name: str) -> Table:
        return self.setdefault(name, Table())


class MemoryRead(LogRead):
    __slots__ = ("tables",)

    def __init__(self, tables: MemoryTables, bodies: Bodies) -> None:
        self.tables, self.bodies = tables, bodies

    def __enter__(self) -> MemoryRead:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to give back."""

    def get(self, table: str, key: bytes) -> bytes | None:
        return self.tables[table].rows.get(key)

    def scan(self, table: str, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        rows, keys = self.tables[table].rows, self.tables[table].keys
        found = keys[bisect_left(keys, start) : bisect_left(keys, stop)]
        for key in reversed(found) if reverse else found:
            yield key, rows[key]

    def last(self, table: str, start: bytes, stop: bytes) -> tuple[bytes, bytes] | None:
        keys = self.tables[table].keys
        place = bisect_left(keys, stop) - 1
        return (keys[place], self.tables[table].rows[keys[place]]) if place >= 0 and keys[place] >= start else None


class MemoryEngine:
    """An Engine whose appends are visible at once and gone with the process."""

    def __init__(self, folds: Sequence[Fold], bodies: Bodies = PLAIN) -> None:
        self.folds, self.bodies = tuple(folds), bodies
        self.tables = MemoryTables()
        self._listeners: list[Callable[[Sequence[Entry]], None]] = []
        self._counters: list[Callable[[int], None]] = []
        self._closed = False
        self._sequencer = self._new_sequencer()

    async def append(self, event: Event, changes: Sequence[Change] = (), guards: Sequence[Guard] = ()) -> Commit:
        commit = self._append_now([Entry(event, tuple(changes))], guards)[0]
        await trio.lowlevel.cancel_shielded_checkpoint()
        return commit

    def note(self, event: Event) -> bool:
        self._check_open()
        batch = Batch()
        self._sequencer.note(batch, event)
        self._write(batch)
        return True

    async def noted(self) -> None:
        """Notes are in the log at once."""

    async def room(self) -> None:
        """Nothing ever waits for memory."""

    def append_imported(self, entries: Sequence[Entry]) -> list[Commit]:
        revisions = [change.revision for entry in entries for change in entry.changes]
        check_new(revisions, lambda revision: number(revision) in self.tables["changes"].rows)
        return self._append_now(entries, imported=True)

    def read(self) -> MemoryRead:
        self._check_open()
        return MemoryRead(self.tables, self.bodies)

    def get(self, table: str, key: bytes) -> bytes | None:
        return self.read().get(table, key)

    async def drop(self, rows: Mapping[str, Mapping[bytes, bytes | None]]) -> None:
        self.write_rows(rows)
        await trio.lowlevel.checkpoint()

    def table_bytes(self, table: str) -> int:
        return sum(len(key) + len(value) for key, value in self.tables[table].rows.items())

    def give_back_pages(self) -> None:
        """There is no file."""

    def subscribe(self, listener: Callable[[Sequence[Entry]], None]) -> None:
        self._listeners.append(listener)

    def subscribe_counts(self, listener: Callable[[int], None]) -> None:
        self._counters.append(listener)

    def close(self) -> None:
        self._closed = True

    def write_rows(self, rows: Mapping[str, Mapping[bytes, bytes | None]]) -> None:
        for name, changes in rows.items():
            table = self.tables[name]
            for key, value in changes.items():
                table.write(key, value)

    def clear(self, tables: Sequence[str]) -> None:
        for name in tables:
            self.tables.pop(name, None)

    def refold(self, progress: Progress | None = None) -> list[str]:
        return bring_up_to_date(self, self.folds, progress)

    def _append_now(
        self, entries: Sequence[Entry], guards: Sequence[Guard] = (), imported: bool = False
    ) -> list[Commit]:
        self._check_open()
        batch = Batch()
        try:
            commits = [self._sequencer.add(batch, event, changes, guards, imported) for event, changes in entries]
        except BaseException:
            self._sequencer = self._new_sequencer()  # forgets what came before the one that failed
            raise
        self._write(batch)
        return commits

    def _write(self, batch: Batch) -> None:
        self._sequencer.finish(batch)
        self.write_rows(batch.rows)
        self._sequencer.committed(batch)
        for count in self._counters:
            count(batch.events)
        for listener in self._listeners:
            listener(batch.entries)

    def _check_open(self) -> None:
        if self._closed:
            raise LogClosed("the log is closed")

    def _new_sequencer(self) -> Sequencer:
        def current(key: bytes) -> int:
            row = self.tables[OBJECTS].rows.get(key)
            return 0 if row is None else int.from_bytes(row[:8], "big")

        with self.read() as read:
            head: Head = read.log_head()
        return Sequencer(self.folds, self.bodies, head, current)
