"""The engine of a worker process: it reads the log that another process writes, and notes the events of its reads.

Readers of LMDB see what is committed at once, whoever committed it. What a process keeps in memory besides (indexes,
caches, the rings of watches) is told of commits by its listeners. So `catch_up` compares the number of the last
transaction, which lies in the mapped file, with the one it knows, and tells the listeners of all changes in between: a
request that begins with it sees in memory what it sees on the disk, and a client reads its own write whichever process
it asks.

Notes go into a journal of this process and, some milliseconds later, to the writer (log.link), which commits them. See
docs/adr/0018-workers.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import trio

from ledger.apimachinery.http import User
from ledger.log.api import Bodies, Commit, Entry, Fold, LogClosed
from ledger.log.codec import PLAIN
from ledger.log.encoding import encode_note
from ledger.log.event import Change, Event, Guard
from ledger.log.journal import Journal
from ledger.log.link import Link
from ledger.log.lmdb_file import LmdbFile, LmdbRead
from ledger.log.worker_journals import file_of, hold
from ledger.log.writer import GIVE_BACK_S

NOTE_DELAY_S = 0.01  # notes wait so long for company on their way to the writer
ROWS_A_MESSAGE = 512
CHANGES_A_SLICE = 1000
WAITING_BYTES_MAX = 16 << 20  # not committed yet: beyond it room() waits
NO_EVENT = Event("", 0, 0, "", "", User(""), 0)  # listeners are told of changes, not by whom


class Follower:
    """An Engine that cannot append. `name` and `token`: of the journal, as LmdbEngine.adopt gave it. Run `talk` once."""

    def __init__(
        self, data_dir: Path, folds: Sequence[Fold], link: Link, name: str, token: bytes, bodies: Bodies = PLAIN
    ) -> None:
        self.folds, self.bodies = tuple(folds), bodies
        self.file = LmdbFile(data_dir, [table for fold in folds for table in fold.tables], bodies, read_only=True)
        self._link = link
        self._journal: Journal | None = None
        with suppress(OSError):  # no room on the disk: then every read waits for its commit
            self._journal = Journal(data_dir, token, file_of(name))
            self._held = hold(data_dir, name)  # till this process ends
        self._listeners: list[Callable[[Sequence[Entry]], None]] = []
        self._transaction = -1
        with self.read() as read:
            self._head = read.head()
        self._noted = self._taken = 0  # the last event noted, and the last that is committed
        self._unsent: list[bytes] = []
        self._sizes: dict[int, int] = {}  # bytes of the events that are not committed yet
        self._waiting_bytes = 0
        self._something_noted = trio.Event()
        self._hurry = trio.Event()
        self._news = trio.lowlevel.ParkingLot()
        self._hurrying = False  # somebody waits for the commit of what is noted
        self._give_back_s = trio.current_time() + GIVE_BACK_S
        self._closed = False

    def catch_up(self) -> None:
        """Tells the listeners of all that is committed and they were not told yet."""
        transaction = self.file.env.info()["last_txnid"]
        while transaction != self._transaction:
            with self.read() as read:
                head = read.head()
                rows = read.changes(self._head, head)
                changes = tuple([change for change, _ in zip(rows, range(CHANGES_A_SLICE), strict=False)])
            if len(changes) < CHANGES_A_SLICE:
                self._transaction, self._head = transaction, head
                transaction = self.file.env.info()["last_txnid"] if changes else transaction
            else:
                self._head = changes[-1].revision
            if changes:
                for listener in self._listeners:
                    listener([Entry(NO_EVENT, changes)])

    def note(self, event: Event) -> bool:
        _, row = encode_note(event)
        self._noted += 1
        kept = self._journal is not None and self._journal.put(self._noted, row, self._taken)
        self._unsent.append(row)
        self._sizes[self._noted] = len(row)
        self._waiting_bytes += len(row)
        self._something_noted.set()
        if len(self._unsent) >= ROWS_A_MESSAGE:
            self._hurry.set()
        return kept

    async def noted(self) -> None:
        upto = self._noted
        if self._taken < upto:
            self._hurrying = True
            self._something_noted.set()
            self._hurry.set()
        while self._taken < upto:
            self._check_open()
            await self._news.park()

    async def room(self) -> None:
        while self._waiting_bytes > WAITING_BYTES_MAX and not self._closed:
            await self._news.park()

    async def up(self) -> None:
        """Tells the writer that this process answers."""
        await self._link.send(["up"])

    async def talk(self, drain: Callable[[], None]) -> None:
        """Sends notes and hears of commits, until the writer is gone. `drain` is called when it says so."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_notes)
            while (message := await self._link.receive()) is not None:
                if message[0] == "committed":
                    self._took(message[1])
                    self.catch_up()
                    self._give_back_pages()
                elif message[0] == "drain":
                    drain()
            nursery.cancel_scope.cancel()
        self._closed = True
        self._news.unpark_all()

    def _give_back_pages(self) -> None:
        """As the writer's thread does it: every few seconds, while something goes on."""
        now = trio.current_time()
        if now >= self._give_back_s:
            self._give_back_s = now + GIVE_BACK_S
            self.file.give_back_pages()

    async def _send_notes(self) -> None:
        with suppress(trio.BrokenResourceError):  # the writer is gone: whoever receives will find out
            while True:
                await self._something_noted.wait()
                with trio.move_on_after(NOTE_DELAY_S):
                    await self._hurry.wait()
                self._something_noted, self._hurry = trio.Event(), trio.Event()
                while self._unsent:
                    rows = self._unsent[:ROWS_A_MESSAGE]
                    del self._unsent[:ROWS_A_MESSAGE]
                    await self._link.send(["events", rows])
                if self._hurrying:
                    self._hurrying = False
                    await self._link.send(["hurry"])

    def _took(self, upto: int) -> None:
        for number in range(self._taken + 1, upto + 1):
            self._waiting_bytes -= self._sizes.pop(number)
        self._taken = upto
        self._news.unpark_all()

    def read(self) -> LmdbRead:
        return self.file.read()

    def get(self, table: str, key: bytes) -> bytes | None:
        return self.file.get(table, key)

    def subscribe_counts(self, listener: Callable[[int], None]) -> None:
        """Whoever writes counts events."""

    def give_back_pages(self) -> None:
        self.file.give_back_pages()

    def subscribe(self, listener: Callable[[Sequence[Entry]], None]) -> None:
        self._listeners.append(listener)

    def table_bytes(self, table: str) -> int:
        return self.file.table_bytes(table)

    def close(self) -> None:
        """Gives the file back. What is not committed yet stays in the journal, for the writer to take."""
        self._closed = True
        self._news.unpark_all()
        if self._journal is not None:
            self._journal.close()
        self.file.close()

    async def append(self, event: Event, changes: Sequence[Change] = (), guards: Sequence[Guard] = ()) -> Commit:
        raise self._not_here()

    def append_imported(self, entries: Sequence[Entry]) -> list[Commit]:
        raise self._not_here()

    async def drop(self, rows: Mapping[str, Mapping[bytes, bytes | None]]) -> None:
        raise self._not_here()

    def _check_open(self) -> None:
        if self._closed:
            raise LogClosed("the process that writes the log is gone")

    def _not_here(self) -> LogClosed:
        return LogClosed(f"{self.file.path} is written by another process")
