"""The engine on LMDB: many appends share one fsync, and nothing waits for it but those appends.

    append, note   (trio thread)    the sequencer decides and puts finished rows into the open batch
    _dispatch      (trio thread)    hands the open batch to the writer, when that is idle
    Writer         (its own)        puts the rows and commits: one transaction, one fsync
    _reap          (trio thread)    hands over the next batch, tells the listeners, wakes the appends

A batch is whatever queued while the disk was busy, or during one turn of the trio loop when it was idle; nothing waits
for company. Notes alone wait up to 100 ms, so that a server that is only read from does not call fsync all the time;
meanwhile the journal keeps them, so that a killed process loses none.
An error of the disk ends the engine: every waiting append raises LogClosed, and nothing is acknowledged that may not be
there after a restart. See docs/adr/0003-storage-layout.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import trio

from ledger.log import worker_journals
from ledger.log.api import Bodies, Commit, Conflict, Entry, Fold, LogClosed, Unusable
from ledger.log.codec import PLAIN, decode_event, number, table_key
from ledger.log.event import Change, Event, Guard
from ledger.log.journal import Journal, left_behind, new_token
from ledger.log.lmdb_file import LmdbFile, LmdbRead
from ledger.log.refold import Progress, bring_up_to_date, checkpoint
from ledger.log.sequencer import OBJECTS, Batch, Sequencer, Waiter, check_new
from ledger.log.worker_journals import Taken
from ledger.log.writer import Writer

BATCH_BYTES_MAX = 8 << 20
BATCH_EVENTS_MAX = 4096
WAITING_BYTES_MAX = 64 << 20  # beyond it room() waits, and beyond twice that alike notes are counted in one
JOURNAL_KEY = b"journal"  # in `meta`: the token of the journal whose events beyond the head are this log's


class LmdbEngine:
    """An Engine in a data directory. `durability`: "strict" (an append returns after fsync) or "relaxed"."""

    def __init__(
        self,
        data_dir: Path | str,
        folds: Sequence[Fold],
        *,
        durability: str = "strict",
        read_only: bool = False,
        bodies: Bodies = PLAIN,
        progress: Progress | None = None,
    ) -> None:
        self.folds, self.bodies, self.relaxed, self.read_only = tuple(folds), bodies, durability == "relaxed", read_only
        self.data_dir = Path(data_dir)
        self.file = self._open_file()
        try:
            if read_only:
                self._take_over_first()
                self._check_folds()
            else:
                bring_up_to_date(self.file, self.folds, progress)
            self._sequencer = self._new_sequencer()
            self._token = b"" if read_only else self._take_over()
        except BaseException:
            self.file.close()
            raise
        self._journal: Journal | None = None  # from the first note on
        self._workers: dict[str, Taken] = {}
        self.committed = self._sequencer.position  # the last event that is on the disk
        self._listeners: list[Callable[[Sequence[Entry]], None]] = []
        self._counters: list[Callable[[int], None]] = []
        self._writer: Writer | None = None  # from the first append or note on
        self._writing = False
        self._open_batch = Batch()
        self._full: deque[Batch] = deque()  # closed for their size, before the open one
        self._counted: dict[tuple[str, ...], Event] = {}  # notes beyond all bounds, alike ones in one
        self._waiting_bytes = 0
        self._room = trio.lowlevel.ParkingLot()
        self._commits = trio.lowlevel.ParkingLot()
        self._scheduled = self._napping = self._closed = False
        self._error: Exception | None = None

    async def append(self, event: Event, changes: Sequence[Change] = (), guards: Sequence[Guard] = ()) -> Commit:
        self._check_open()
        try:
            commit = self._sequencer.add(self._open_batch, event, changes, guards)
        except Conflict as conflict:
            await self._until_readable(conflict)
            raise
        waiter = Waiter(trio.lowlevel.current_task())
        self._open_batch.waiting.append(waiter)
        if self._queued():
            # Not at once: tasks that are about to run in this turn of the loop get into the same commit.
            await trio.lowlevel.cancel_shielded_checkpoint()
            self._dispatch()
        if not waiter.done:
            waiter.parked = True
            await trio.lowlevel.wait_task_rescheduled(_not_cancellable)
        if waiter.error is not None:
            raise waiter.error
        return commit

    def note(self, event: Event) -> bool:
        self._check_open()
        if self._waiting_bytes > 2 * WAITING_BYTES_MAX:
            self._count(event)
            return False
        batch, journal = self._open_batch, self._journal or self._open_journal()
        row = self._sequencer.note(batch, event)
        kept = journal is not None and journal.put(batch.upto, row, self.committed)
        self._waiting_bytes += len(row)
        self._note_queued()
        return kept

    def _note_queued(self) -> None:
        batch = self._open_batch
        if batch.body_bytes > BATCH_BYTES_MAX or batch.events >= BATCH_EVENTS_MAX:
            self._close_batch()
        if self._full or not self._napping:
            self._go_on()

    async def adopt(self, name: str) -> bytes:
        """Takes over what the last worker of this name left in its journal; the token of the next one's. Durable."""
        left = worker_journals.rows_left(self.data_dir, name, self._workers[name]) if name in self._workers else []
        self._workers[name] = Taken(new_token(), 0)
        self._note_rows(name, left)
        if self._open_batch.events:
            self._close_batch()
        await self.drop({"meta": {worker_journals.key_of(name): self._workers[name].encode()}})
        return self._workers[name].token

    def take_in(self, name: str, rows: Sequence[bytes]) -> list[Event]:
        """Queues the next events of a worker, rows as its journal has them; they are committed like notes.

        Once `committed` has come to the position of the last one, the worker may forget them.
        """
        self._check_open()
        token, upto = self._workers[name]
        self._workers[name] = Taken(token, upto + len(rows))
        events = self._note_rows(name, rows)
        self._note_queued()
        return events

    def hurry(self) -> None:
        """What is queued is committed now, without waiting for company."""
        self._open_batch.hurried = self._open_batch.events > 0
        self._go_on()

    def _note_rows(self, name: str, rows: Sequence[bytes]) -> list[Event]:
        events = [decode_event(0, row) for row in rows]
        batch = self._open_batch
        for event, row in zip(events, rows, strict=True):
            self._sequencer.note_row(batch, event, row)
            self._waiting_bytes += len(row)
        if events:
            batch.rows.setdefault("meta", {})[worker_journals.key_of(name)] = self._workers[name].encode()
        return events

    async def noted(self) -> None:
        while self._counted and not self._closed:
            await self._commits.park()
        upto = self._sequencer.position
        while self.committed < upto:
            self._check_open()
            self.hurry()
            await self._commits.park()

    async def room(self) -> None:
        while self._waiting_bytes > WAITING_BYTES_MAX and not self._closed:
            await self._room.park()

    def append_imported(self, entries: Sequence[Entry]) -> list[Commit]:
        self._check_open()
        assert not self._writing and not self._open_batch.events, "an import shares the log with nobody"
        revisions = [change.revision for entry in entries for change in entry.changes]
        with self.read() as read:
            check_new(revisions, lambda revision: read.get("changes", number(revision)) is not None)
        batch = Batch()
        try:
            commits = [self._sequencer.add(batch, event, changes, imported=True) for event, changes in entries]
            self._sequencer.finish(batch)
            self.file.write_rows(batch.rows)
        except BaseException:
            self._sequencer = self._new_sequencer()  # forgets what came before the one that failed
            raise
        self._sequencer.committed(batch)
        self._tell(batch)
        return commits

    async def drop(self, rows: Mapping[str, Mapping[bytes, bytes | None]]) -> None:
        self._check_open()
        waiter = Waiter(trio.lowlevel.current_task())
        # A batch of its own: that of the appends gets the log's head when it is closed.
        self._full.append(Batch(rows={table: dict(changes) for table, changes in rows.items()}, waiting=[waiter]))
        self._go_on()
        waiter.parked = True
        await trio.lowlevel.wait_task_rescheduled(_not_cancellable)
        if waiter.error is not None:
            raise waiter.error

    def table_bytes(self, table: str) -> int:
        return self.file.table_bytes(table)

    def read(self) -> LmdbRead:
        return self.file.read()

    def get(self, table: str, key: bytes) -> bytes | None:
        return self.file.get(table, key)

    def give_back_pages(self) -> None:
        self.file.give_back_pages()

    def subscribe(self, listener: Callable[[Sequence[Entry]], None]) -> None:
        self._listeners.append(listener)

    def subscribe_counts(self, listener: Callable[[int], None]) -> None:
        self._counters.append(listener)

    def close(self) -> None:
        """Writes what is queued, wakes its appends, and gives the directory back."""
        if self._closed:
            return
        self._closed = True
        if self._writer is not None:
            self._place_counted()
            for batch in self._take_all():
                self._writer.write(batch)
            self._full.extend(self._writer.stop())
            self._reap()
        self._room.unpark_all()
        self._close_files()

    def _queued(self) -> bool:
        """The open batch grew. True: the caller is the one to hand it over, in the next turn of the loop."""
        batch = self._open_batch
        if batch.body_bytes > BATCH_BYTES_MAX or batch.events >= BATCH_EVENTS_MAX:
            self._close_batch()
        self._weigh()
        if self._writing or self._scheduled:
            return False
        self._start_writer()
        if self._is_due():
            self._scheduled = True
            return True
        self._nap()
        return False

    def _is_due(self) -> bool:
        """Whether somebody waits for the next batch, or it is full."""
        batch = self._open_batch
        return bool(self._full or batch.waiting or batch.hurried)

    def _close_batch(self) -> None:
        self._sequencer.finish(self._open_batch)
        self._full.append(self._open_batch)
        self._open_batch = Batch()

    def _weigh(self) -> None:
        self._waiting_bytes = self._open_batch.body_bytes + sum([batch.body_bytes for batch in self._full])

    def _start_writer(self) -> Writer:
        if self._writer is None:
            self._writer = Writer(self.file, self.relaxed, self._reap, self._dispatch)
        return self._writer

    def _nap(self) -> None:
        """Notes wait for company; whoever appends ends that."""
        if not self._napping and self._open_batch.events:
            self._napping = True
            self._start_writer().nap()

    def _go_on(self) -> None:
        """After a commit: what queued meanwhile is the next batch, with what the tasks of this turn add to it."""
        if self._writing or self._scheduled:
            return
        if self._is_due():
            self._scheduled = True
            self._start_writer().soon(self._dispatch)
        else:
            self._nap()

    def _dispatch(self) -> None:
        self._scheduled = self._napping = False
        if self._writing or self._closed or self._writer is None:
            return
        if not self._full and self._open_batch.events:
            self._close_batch()
        if self._full:
            self._writing = True
            self._writer.write(self._full.popleft())

    def _reap(self) -> None:
        assert self._writer is not None
        while self._writer.done:
            batch, error = self._writer.done.popleft()
            self._writing = False
            if batch is None or error is not None:
                self._fail(batch, error)
                return
            self._sequencer.committed(batch)
            self.committed = max(self.committed, batch.upto)
            self._weigh()
            if not self._closed:
                if self._counted and self._waiting_bytes <= 2 * WAITING_BYTES_MAX:
                    self._place_counted()
                self._go_on()
            self._tell(batch)
            for waiter in batch.waiting:
                waiter.wake()
            self._commits.unpark_all()
            if self._waiting_bytes <= WAITING_BYTES_MAX:
                self._room.unpark_all()

    def _tell(self, batch: Batch) -> None:
        if batch.events:
            for count in self._counters:
                count(batch.events)
        for listener in self._listeners:
            listener(batch.entries)

    def _fail(self, batch: Batch | None, error: Exception | None) -> None:
        self._closed, self._error = True, error
        assert self._writer is not None
        lost = [*self._writer.stop(), *self._take_all()]
        for one in [batch, *lost] if batch is not None else lost:
            for waiter in one.waiting:
                waiter.error = self._closed_error()
                waiter.wake()
        self._commits.unpark_all()
        self._room.unpark_all()
        self._close_files()

    def _take_all(self) -> list[Batch]:
        if self._open_batch.events:
            self._close_batch()
        batches = list(self._full)
        self._full.clear()
        return batches

    async def _until_readable(self, conflict: Conflict) -> None:
        """Waits for the commit of what an append lost against: a retry shall find it, instead of losing again."""
        ahead = self._sequencer.ahead.get(table_key(conflict.key.encode()))
        while ahead is not None and not ahead[1].committed and not self._closed:
            await self._commits.park()

    def _count(self, event: Event) -> None:
        alike = (event.user.name, event.verb, event.api_group, event.resource, str(event.code))
        first = self._counted.get(alike)
        self._counted[alike] = event if first is None else replace(first, count=first.count + event.count)

    def _place_counted(self) -> None:
        for event in self._counted.values():
            self._sequencer.note(self._open_batch, event)
        self._counted.clear()

    def _open_journal(self) -> Journal | None:
        """None, and notes wait for their commit, where the disk has no room for a journal."""
        with suppress(OSError):
            self._journal = Journal(self.data_dir, self._token)
        return self._journal

    def _take_over(self) -> bytes:
        """Appends the events that a killed process left in its journal, which makes it void; the token of the next."""
        with self.read() as read:
            for name in worker_journals.stored(read):
                worker_journals.wait_until_left(self.data_dir, name)
        token, rows, workers = self._left_behind()
        self.taken_over = len(rows)
        if token is not None and not rows and not workers:
            return token
        batch, token = Batch(), new_token()
        for row in rows:
            self._sequencer.add(batch, decode_event(0, row))
        self._sequencer.finish(batch)
        batch.rows["meta"][JOURNAL_KEY] = token
        batch.rows["meta"] |= {worker_journals.key_of(name): None for name in workers}
        self.file.write_rows(batch.rows)
        self.file.sync()
        self._sequencer.committed(batch)
        for name in workers:
            worker_journals.discard(self.data_dir, name)
        return token

    def _take_over_first(self) -> None:
        """For a reader: opens the log for writing for a moment, where a killed process left events and none runs now."""
        if not self._left_behind()[1]:
            return
        self.file.close()
        with suppress(Unusable):  # a server is at work, or this user may only read: then they come later
            LmdbEngine(self.data_dir, self.folds, bodies=self.bodies).close()
        self.file = self._open_file()

    def _left_behind(self) -> tuple[bytes | None, list[bytes], list[str]]:
        """The token of this log's journal, the rows in it and in those of workers that the log lacks, and the workers."""
        with self.read() as read:
            token = read.get("meta", JOURNAL_KEY)
            rows = [] if token is None else left_behind(self.data_dir, token, read.last_position())
            workers = worker_journals.stored(read)
        for name, taken in workers.items():
            rows += worker_journals.rows_left(self.data_dir, name, taken)
        return token, rows, list(workers)

    def _open_file(self) -> LmdbFile:
        tables = [table for fold in self.folds for table in fold.tables]
        return LmdbFile(self.data_dir, tables, self.bodies, relaxed=self.relaxed, read_only=self.read_only)

    def _close_files(self) -> None:
        if self._journal is not None:
            self._journal.close()
        self.file.close()

    def _check_open(self) -> None:
        if self._closed:
            raise self._closed_error()
        if self.read_only:
            raise LogClosed(f"{self.file.path} is open for reading only")

    def _closed_error(self) -> LogClosed:
        error = LogClosed(f"the log is closed: {self._error}" if self._error else "the log is closed")
        error.__cause__ = self._error
        return error

    def _check_folds(self) -> None:
        with self.read() as read:
            end = read.last_position()
            for fold in self.folds:
                if end and checkpoint(read, fold) != (fold.version, end):
                    raise Unusable(f"{self.file.path}: projection {fold.name} is behind; open the log for writing once")

    def _new_sequencer(self) -> Sequencer:
        def current(key: bytes) -> int:
            with self.file.env.begin(db=objects, buffers=True) as txn:
                row = txn.get(key)
                return 0 if row is None else int.from_bytes(row[:8], "big")

        objects = self.file.tables.get(OBJECTS)
        with self.read() as read:
            head = read.log_head()
        return Sequencer(self.folds, self.bodies, head, current)


def _not_cancellable(_: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED
