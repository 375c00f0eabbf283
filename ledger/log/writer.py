"""The thread that writes: it takes finished batches from a queue and commits each in a transaction of its own."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable

import trio

from ledger.log.lmdb_file import LmdbFile
from ledger.log.sequencer import Batch

NOTE_DELAY_S = 0.1
SYNC_INTERVAL_S = 1.0  # relaxed durability: at most this much is lost when the machine dies
READER_CHECK_S = 60.0
GIVE_BACK_S = 1.0  # after a commit, and so after whatever was read: then the map's pages go

NAP = "nap"
STOP = "stop"


class Writer:
    """`on_done` is called in the trio thread when something is in `done`, `on_rested` when a nap is over.

    `done` holds (batch, error) in the order of the commits. After an error nothing more is written, and `batch` is None
    where no batch was at fault. `relaxed`: commits do not wait for the disk, which is synced every second instead.
    """

    def __init__(
        self, file: LmdbFile, relaxed: bool, on_done: Callable[[], None], on_rested: Callable[[], None]
    ) -> None:
        self.file, self.relaxed, self.on_done, self.on_rested = file, relaxed, on_done, on_rested
        self.done: deque[tuple[Batch | None, Exception | None]] = deque()
        self.jobs: queue.SimpleQueue[Batch | str] = queue.SimpleQueue()
        self._token = trio.lowlevel.current_trio_token()
        self._writing: Batch | None = None
        now = time.monotonic()
        self._rested_s: float | None = None  # end of the nap
        self._sync_s: float | None = None  # when relaxed commits are due on the disk
        self._reader_check_s = now + READER_CHECK_S
        self._give_back_s: float | None = None  # when pages are looked at; only while there are commits
        self._thread = threading.Thread(target=self._run, name="ledger-log-writer", daemon=True)
        self._thread.start()

    def write(self, batch: Batch) -> None:
        self.jobs.put(batch)

    def nap(self) -> None:
        """Calls `on_rested` in 100 ms, unless there is something to write sooner."""
        self.jobs.put(NAP)

    def soon(self, function: Callable[[], None]) -> None:
        """Calls a function in the trio thread, after the tasks of this turn."""
        try:
            self._token.run_sync_soon(function)
        except trio.RunFinishedError:
            return  # the loop is gone and with it whoever waited; close() sees to the rest

    def stop(self) -> list[Batch]:
        """Writes what is queued and ends the thread. Batches that an error left in the queue are given back."""
        self.jobs.put(STOP)
        self._thread.join()
        left = []
        while not self.jobs.empty():
            job = self.jobs.get_nowait()
            if isinstance(job, Batch):
                left.append(job)
        return left

    def _run(self) -> None:
        try:
            while self._next_job():
                self._look_after()
            if self._sync_s is not None:
                self.file.sync()
        except Exception as error:  # whatever it was: nothing can be acknowledged any more, and it is told to all
            self.done.append((self._writing, error))
            self.soon(self.on_done)

    def _next_job(self) -> bool:
        """Takes what is next in the queue, or lets the time for it go by. False: it was to stop."""
        try:
            job = self.jobs.get(timeout=self._wait_s())
        except queue.Empty:
            return True
        if isinstance(job, Batch):
            self._rested_s = None  # what the nap was for is in this batch
            self._writing = job
            self.file.write_rows(job.rows)
            self._writing = None
            if self._give_back_s is None:
                self._give_back_s = time.monotonic() + GIVE_BACK_S
            if self.relaxed and self._sync_s is None:
                self._sync_s = time.monotonic() + SYNC_INTERVAL_S
            self.done.append((job, None))
            self.soon(self.on_done)
        elif job == NAP:
            self._rested_s = time.monotonic() + NOTE_DELAY_S
        return job != STOP

    def _wait_s(self) -> float:
        due = (self._rested_s, self._sync_s, self._reader_check_s, self._give_back_s)
        return max(0.0, min([at for at in due if at is not None]) - time.monotonic())

    def _look_after(self) -> None:
        """What comes round by the clock: the end of a nap, fsync when relaxed, dead readers, pages."""
        now = time.monotonic()
        if self._rested_s is not None and now >= self._rested_s:
            self._rested_s = None
            self.soon(self.on_rested)
        if self._sync_s is not None and now >= self._sync_s:
            self.file.sync()
            self._sync_s = None
        if now >= self._reader_check_s:
            self.file.reader_check()
            self._reader_check_s = now + READER_CHECK_S
        if self._give_back_s is not None and now >= self._give_back_s:
            self.file.give_back_pages()
            self._give_back_s = None
