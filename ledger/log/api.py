"""The log's interface: what every engine promises, and all that the rooms above may ask of it.

An engine keeps three things: the log (events by position, changes by revision, a hash chain over both), the tables that
folds of the log fill in the same transaction, and each fold's checkpoint. tests/log/test_contract.py runs one suite
against every engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from ledger.apimachinery.resource import GroupResource, Key
from ledger.log.event import Change, Event, Guard


class Conflict(Exception):
    """A guard failed: the object is at `current` (0: absent). Nothing of this append happened; its neighbours did."""

    def __init__(self, key: Key, current: int) -> None:
        super().__init__(f"{key} is at revision {current}")
        self.key, self.current = key, current


class Compacted(Exception):
    """Retention dropped what was asked for: the history of `what` is whole from revision `oldest` on."""

    def __init__(self, what: str, oldest: int) -> None:
        super().__init__(f"the history of {what} was dropped up to revision {oldest}; ask for that or a later one")
        self.what, self.oldest = what, oldest


class Damaged(Exception):
    """The chain or a checksum does not fit; `position` is the first bad event, 0 when it is not the log's own."""

    def __init__(self, position: int, what: str) -> None:
        super().__init__(f"event {position}: {what}" if position else what)
        self.position = position


class LogClosed(Exception):
    """The engine is closed, or a disk error ended it: nothing can be acknowledged any more."""


class Unusable(Exception):
    """A data directory cannot be opened: not a ledger, damaged, not permitted. The message is one line for a person."""


class InUse(Unusable):
    """Another process has the data directory open for writing."""


class Put(NamedTuple):
    table: str
    key: bytes
    value: bytes


class Delete(NamedTuple):
    table: str
    key: bytes


class Entry(NamedTuple):
    """What a fold sees: one event with its position, and its changes with their revisions."""

    event: Event
    changes: tuple[Change, ...]


class Fold(Protocol):
    """A projection's rule: pure, so that LMDB, a dict and a diff can all apply it."""

    name: str
    version: int  # a higher one than the stored checkpoint's makes the engine rebuild the projection
    tables: tuple[str, ...]

    def changes(self, entry: Entry) -> list[Put | Delete]: ...

    def of_notes(self, events: Sequence[Event]) -> Mapping[str, Mapping[bytes, bytes]]:
        """Rows by table: what `changes` makes of events that changed nothing, all in one go."""
        ...


class Commit(NamedTuple):
    """Where an append landed."""

    position: int
    revisions: tuple[int, ...]  # one a change, in order


class Bodies(Protocol):
    """How bodies lie in the log and in tables: as they are, unless encryption per object is put here."""

    def seal(self, key: Key, uid: str, body: bytes) -> bytes: ...  # the same bytes for the same body, as folds are pure
    def open(self, key: Key, uid: str, sealed: bytes) -> bytes: ...


class Stamp(NamedTuple):
    """When and by which event a revision was made. Times are the event's, in microseconds since 1970."""

    position: int
    received: int
    answered: int


class Retained(NamedTuple):
    """What retention dropped so far. An event or change that was dropped reads as None, and is left out of a scan."""

    horizons: dict[str, int]  # GROUP/RESOURCE -> the revision from which on its history is whole; others': from 0
    reads: int  # position up to which the events without changes are gone
    upto: int  # nothing behind this position was dropped
    begins: int  # when the first event that the log ever had was answered, in microseconds since 1970; 0: it is there


class Read(Protocol):
    """A consistent read of log and tables. Hold it briefly, in one thread, and never across an await."""

    def __enter__(self) -> Read: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object, /) -> None: ...

    bodies: Bodies

    def head(self) -> int: ...  # last revision, 0 in an empty log
    def last_position(self) -> int: ...
    def retained(self) -> Retained: ...
    def horizon(self, resource: GroupResource | None) -> int: ...  # see Retained; None: the latest of all resources
    def get(self, table: str, key: bytes) -> bytes | None: ...
    def scan(
        self, table: str, start: bytes, stop: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]: ...
    def scan_in_place(self, table: str, start: bytes, stop: bytes) -> Iterator[tuple[memoryview, memoryview]]:
        """As `scan` forward, but keys and rows are the store's own memory, which ends with this read."""
        ...

    def rows_in_place(
        self, table: str, start: bytes, stop: bytes, rows_max: int, bytes_max: int
    ) -> tuple[list[memoryview], bytes | None]:
        """The first rows of a range: at most `rows_max`, and no more once they are `bytes_max` long.

        They are the store's own memory, which ends with this read. The key of the last one where more follow, else None.
        """
        ...

    def count(self, table: str, start: bytes, stop: bytes) -> int: ...  # rows with start <= key < stop
    def last(self, table: str, start: bytes, stop: bytes) -> tuple[bytes, bytes] | None: ...  # start <= key < stop
    def change(self, revision: int) -> Change | None: ...
    def change_rows(self, after: int, upto: int, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]: ...
    def changes(self, after: int, upto: int) -> Iterator[Change]: ...  # after excluded, upto included; by revision
    def stamp(self, revision: int) -> Stamp | None: ...
    def event(self, position: int) -> Event | None: ...
    def events(self, after: int, limit: int) -> Iterator[Event]: ...  # at positions after < p <= after + limit


class Engine(Protocol):
    """An event store with group commit. All methods but `append` return at once; use from the trio thread."""

    async def append(self, event: Event, changes: Sequence[Change] = (), guards: Sequence[Guard] = ()) -> Commit:
        """Appends one event with its changes, all or nothing. Returns when durable and visible to local reads.

        Raises Conflict when a change's `expect` or a guard does not hold. Once queued it is not cancellable.
        """
        ...

    def note(self, event: Event) -> bool:
        """Queues an event without changes, and takes it over; it is written with the next commit.

        True: the event is safe from now on if the process is killed (not if the machine dies). False: only once
        `noted` returns.
        """
        ...

    async def noted(self) -> None:
        """Returns when all notes made so far are committed. Raises LogClosed when they will not be."""
        ...

    def read(self) -> Read: ...  # in a `with` statement

    def get(self, table: str, key: bytes) -> bytes | None:
        """The one row that somebody wants to read."""
        ...

    async def room(self) -> None:
        """Returns once the notes waiting for the disk are within bounds; at once unless the disk lags behind."""
        ...

    def append_imported(self, entries: Sequence[Entry]) -> list[Commit]:
        """Appends events whose changes bring their own revisions, durable on return; the rest as in `append`.

        Synchronous, for importers. Raises ValueError for a revision that the log already has. That revisions ascend
        for each object is the importer's duty.
        """
        ...

    async def drop(self, rows: Mapping[str, Mapping[bytes, bytes | None]]) -> None:
        """Commits what retention makes of rows that are older than the log's last event; None deletes one."""
        ...

    def table_bytes(self, table: str) -> int: ...  # what it takes on the disk, roughly

    def give_back_pages(self) -> None:
        """Lets go of memory that the process has for what it read lately, and of what it freed, where there is much."""
        ...

    def subscribe(self, listener: Callable[[Sequence[Entry]], None]) -> None:
        """Calls `listener` in the trio thread with the entries of each commit's appends, in order, before these return.

        Notes are none of them: nobody follows what changed nothing.
        """
        ...

    def subscribe_counts(self, listener: Callable[[int], None]) -> None:
        """Calls `listener` in the trio thread with the number of events in each commit, notes included."""
        ...

    def close(self) -> None: ...
