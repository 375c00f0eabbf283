"""The engine on LMDB: many appends share one fsync, and nothing waits for it but those appends.

    append, note   (trio thread)    the sequencer decides and puts finished rows into the open batch
    _dispatch      (trio thread)    hands the open batch to the writer thread, when that is idle
    _run           (writer thread)  puts the rows and commits: one transaction, one fsync
    _reap          (trio thread)    hands over the next batch, tells the listeners, wakes the appends

A batch is whatever queued while the disk was busy, or during one turn of the trio loop when it was idle; nothing waits
for company. Notes alone wait up to 20 ms, so that a server that is only read from does not call fsync all the time.
An error of the disk ends the engine: every waiting append raises LogClosed, and nothing is acknowledged that may not be
there after a restart.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import outcome
import trio

from ledger.log.api import Bodies, Commit, Conflict, Entry, Fold, LogClosed, Unusable
from ledger.log.codec import PLAIN, number, table_key
from ledger.log.event import Change, Event, Guard
from ledger.log.lmdb_file import LmdbFile, LmdbRead
from ledger.log.memory import check_new
from ledger.log.refold import Progress, bring_up_to_date, checkpoint
from ledger.log.sequencer import OBJECTS, Batch, Sequencer

NOTE_DELAY_S = 0.02
SYNC_INTERVAL_S = 1.0  # relaxed durability: at most this much is lost when the machine dies
READER_CHECK_S = 60.0
BATCH_BYTES_MAX = 8 << 20
BATCH_APPENDS_MAX = 4096
NOTES_BYTES_MAX = 64 << 20  # waiting notes; beyond it room() waits, and beyond twice that alike notes are folded

NAP = object()
STOP = object()


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
        tables = [table for fold in folds for table in fold.tables]
        self.file = LmdbFile(Path(data_dir), tables, bodies, relaxed=self.relaxed, read_only=read_only)
        try:
            self._check_folds() if read_only else bring_up_to_date(self.file, self.folds, progress)
            self._sequencer = self._new_sequencer()
        except BaseException:
            self.file.close()
            raise
        self._listeners: list[Callable[[Sequence[Entry]], None]] = []
        self._open_batch = Batch()
        self._full: deque[Batch] = deque()  # closed for their size, before the open one
        self._folded: dict[tuple[str, ...], Event] = {}  # notes beyond all bounds, alike ones counted
        self._waiting_bytes = 0
        self._room = trio.lowlevel.ParkingLot()
        self._settled = trio.lowlevel.ParkingLot()
        self._writing: Batch | None = None
        self._scheduled = self._napping = self._closed = False
        self._error: Exception | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._done: deque[tuple[Batch, Exception | None]] = deque()
        self._thread: threading.Thread | None = None

    async def append(self, event: Event, changes: Sequence[Change] = (), guards: Sequence[Guard] = ()) -> Commit:
        self._check_open()
        try:
            commit = self._sequencer.add(self._open_batch, event, changes, guards)
        except Conflict as conflict:
            await self._until_readable(conflict)
            raise
        self._open_batch.waiting.append((trio.lowlevel.current_task(), commit))
        self._queued()
        return await trio.lowlevel.wait_task_rescheduled(_not_cancellable)  # type: ignore[no-any-return]

    def note(self, event: Event) -> None:
        self._check_open()
        if self._waiting_bytes > 2 * NOTES_BYTES_MAX:
            self._fold_note(event)
            return
        self._sequencer.add(self._open_batch, event)
        self._queued()

    async def room(self) -> None:
        while self._waiting_bytes > NOTES_BYTES_MAX and not self._closed:
            await self._room.park()

    def append_imported(self, entries: Sequence[Entry]) -> list[Commit]:
        self._check_open()
        assert self._writing is None and not self._open_batch.entries, "an import shares the log with nobody"
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
        for listener in self._listeners:
            listener(batch.entries)
        return commits

    def read(self) -> LmdbRead:
        return self.file.read()

    def subscribe(self, listener: Callable[[Sequence[Entry]], None]) -> None:
        self._listeners.append(listener)

    def close(self) -> None:
        """Writes what is queued, wakes its appends, and gives the directory back."""
        if self._closed:
            return
        self._closed = True
        if self._thread is not None:
            self._unfold_notes()
            for batch in self._take_all():
                self._jobs.put(batch)
            self._jobs.put(STOP)
            self._thread.join()
            self._reap()
        self._room.unpark_all()
        self.file.close()

    # The trio thread's side.

    def _queued(self) -> None:
        """The open batch grew: see that it is written."""
        batch = self._open_batch
        if batch.body_bytes > BATCH_BYTES_MAX or len(batch.entries) >= BATCH_APPENDS_MAX:
            self._close_batch()
        self._waiting_bytes = batch.body_bytes + len(self._full) * BATCH_BYTES_MAX
        self._request_dispatch()

    def _close_batch(self) -> None:
        self._sequencer.finish(self._open_batch)
        self._full.append(self._open_batch)
        self._open_batch = Batch()

    def _request_dispatch(self) -> None:
        if self._writing is not None or self._scheduled:
            return
        if self._token is None:
            self._start_writer()
        if self._full or self._open_batch.waiting:
            # Not at once: tasks that are about to run in this turn of the loop get into the same commit.
            self._scheduled = True
            self._token.run_sync_soon(self._dispatch)  # type: ignore[union-attr]
        elif not self._napping and self._open_batch.entries:
            self._napping = True
            self._jobs.put(NAP)

    def _dispatch(self) -> None:
        self._scheduled = self._napping = False
        if self._writing is not None or self._closed:
            return
        if not self._full and self._open_batch.entries:
            self._close_batch()
        if self._full:
            self._writing = self._full.popleft()
            self._jobs.put(self._writing)

    def _reap(self) -> None:
        while self._done:
            batch, error = self._done.popleft()
            self._writing = None
            if error is not None:
                self._fail(batch, error)
                return
            self._sequencer.committed(batch)
            self._unfold_notes()
            self._request_dispatch()
            for listener in self._listeners:
                listener(batch.entries)
            for task, commit in batch.waiting:
                trio.lowlevel.reschedule(task, outcome.Value(commit))
            self._settled.unpark_all()
            if self._waiting_bytes <= NOTES_BYTES_MAX:
                self._room.unpark_all()

    def _fail(self, batch: Batch, error: Exception) -> None:
        self._closed, self._error = True, error
        for lost in (batch, *self._take_all()):
            for task, _ in lost.waiting:
                trio.lowlevel.reschedule(task, outcome.Error(self._closed_error()))
        self._settled.unpark_all()
        self._room.unpark_all()
        self.file.close()

    def _take_all(self) -> list[Batch]:
        if self._open_batch.entries:
            self._close_batch()
        batches = list(self._full)
        self._full.clear()
        return batches

    async def _until_readable(self, conflict: Conflict) -> None:
        """A conflict with an append that is not yet committed shows once that can be read; else retries would spin."""
        key = table_key(conflict.key.encode())
        while key in self._sequencer.ahead and not self._closed:
            ahead = self._sequencer.ahead[key][1]
            while self._sequencer.ahead.get(key, (0, None))[1] is ahead and not self._closed:
                await self._settled.park()
            return

    def _fold_note(self, event: Event) -> None:
        alike = (event.user.name, event.verb, event.api_group, event.resource, str(event.code))
        first = self._folded.get(alike, None)
        self._folded[alike] = event if first is None else replace(first, count=first.count + event.count)

    def _unfold_notes(self) -> None:
        self._waiting_bytes = self._open_batch.body_bytes + len(self._full) * BATCH_BYTES_MAX
        if self._folded and self._waiting_bytes <= 2 * NOTES_BYTES_MAX:
            for event in self._folded.values():
                self._sequencer.add(self._open_batch, event)
            self._folded.clear()

    def _start_writer(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._thread = threading.Thread(target=self._run, name="ledger-log-writer", daemon=True)
        self._thread.start()

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
                found = checkpoint(read, fold)
                if found != (fold.version, end) and end:
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

    # The writer thread's side.

    def _run(self) -> None:
        due = _Due(self.relaxed)
        while True:
            try:
                job = self._jobs.get(timeout=due.wait_s())
            except queue.Empty:
                if due.nap_over():
                    self._call(self._dispatch)
                self._look_after(due)
                continue
            if job is STOP:
                break
            if job is NAP:
                due.nap_s = time.monotonic() + NOTE_DELAY_S
                continue
            due.nap_s = None
            try:
                self.file.write_rows(job.rows)
            except Exception as error:
                self._done.append((job, error))
                self._call(self._reap)
                return
            due.unsynced = self.relaxed
            self._done.append((job, None))
            self._call(self._reap)
            self._look_after(due)
        if due.unsynced:
            self.file.sync()

    def _look_after(self, due: _Due) -> None:
        """What comes round by the clock: fsync when durability is relaxed, and slots of dead readers."""
        now = time.monotonic()
        if due.unsynced and now >= due.sync_s:
            self.file.sync()
            due.unsynced, due.sync_s = False, now + SYNC_INTERVAL_S
        if now >= due.reader_check_s:
            self.file.reader_check()
            due.reader_check_s = now + READER_CHECK_S

    def _call(self, function: Callable[[], None]) -> None:
        assert self._token is not None
        try:
            self._token.run_sync_soon(function)
        except trio.RunFinishedError:
            return  # the loop is gone and with it whoever waited; close() sees to the rest


class _Due:
    """When the writer thread must look up from its queue; times are those of time.monotonic."""

    def __init__(self, relaxed: bool) -> None:
        now = time.monotonic()
        self.nap_s: float | None = None  # end of the notes' wait
        self.sync_s = now + SYNC_INTERVAL_S
        self.unsynced = False
        self.reader_check_s = now + READER_CHECK_S

    def wait_s(self) -> float:
        at = self.reader_check_s
        if self.nap_s is not None:
            at = min(at, self.nap_s)
        if self.unsynced:
            at = min(at, self.sync_s)
        return max(0.0, at - time.monotonic())

    def nap_over(self) -> bool:
        if self.nap_s is None or time.monotonic() < self.nap_s:
            return False
        self.nap_s = None
        return True


def _not_cancellable(_: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED
