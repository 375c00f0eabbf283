"""Decides what an append does, before any disk is touched: guards, numbers, rows, folds, chain.

It runs in the trio thread, so appends are decided one after the other and the writer thread only puts finished rows.
(py-lmdb releases the GIL in every call: deciding in the writer thread meant a wait for the GIL at each of ten calls an
append.) What is decided but not yet committed is in `ahead`, so a later append sees an earlier one of the same batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import trio
from cbor2 import dumps

from ledger.log.api import Bodies, Commit, Conflict, Delete, Entry, Fold, Put
from ledger.log.chain import GENESIS, SEGMENT, digest_of, hashes_of, link
from ledger.log.codec import BODY_PREFIX, number, table_key, without_surrogates
from ledger.log.encoding import encode_change, encode_event, encode_note
from ledger.log.event import Change, Event, Guard

OBJECTS = "state"  # the table that guards are checked against: its values begin with the object's revision, 8 bytes BE
LOG_TABLES = ("events", "changes", "chain", "meta", "checkpoints")
BODY_BYTES_MAX = 32 << 20  # far above what a request may carry; keeps one append from filling a transaction
NOTES_A_SLICE = 64  # chained and folded together: some 0.3 ms
KNOWN_MAX = 16384  # revisions of objects kept at hand, lest every guard is a look into the table
HEAD_KEY = b"head"
NO_HASHES: list[bytes] = []

Rows = dict[str, dict[bytes, bytes | None]]  # table -> key -> value; None deletes


@dataclass(frozen=True, slots=True)
class Head:
    """Where the log ends."""

    revision: int = 0
    position: int = 0
    link: bytes = GENESIS

    def encode(self) -> bytes:
        return number(self.revision) + number(self.position) + self.link

    @classmethod
    def decode(cls, row: bytes | None) -> Head:
        if row is None:
            return cls()
        return cls(int.from_bytes(row[:8], "big"), int.from_bytes(row[8:16], "big"), row[16:])


@dataclass(slots=True, eq=False)
class Waiter:
    """A task that waits for its append to be committed; `error` is set when that failed."""

    task: Any
    error: Exception | None = None
    parked: bool = False  # the task waits to be woken
    done: bool = False

    def wake(self) -> None:
        self.done = True
        if self.parked:
            trio.lowlevel.reschedule(self.task)


@dataclass(slots=True, eq=False)
class Batch:
    """Appends and notes that become one transaction."""

    entries: list[Entry] = field(default_factory=list)  # of the appends
    events: int = 0  # of appends and notes
    upto: int = 0  # position of the last event
    rows: Rows = field(default_factory=dict)
    unchained: list[tuple[bytes, list[bytes]]] = field(default_factory=list)  # the last events: row, hashes of changes
    noted: list[Event] = field(default_factory=list)  # not folded yet
    waiting: list[Waiter] = field(default_factory=list)  # the appends, in order
    hurried: bool = False  # somebody waits for its notes
    touched: dict[bytes, int] = field(default_factory=dict)  # object -> its revision after this batch
    body_bytes: int = 0
    committed: bool = False


class Sequencer:
    """Numbers appends. `current` tells an object's committed revision (0: absent) by its table key."""

    def __init__(self, folds: Sequence[Fold], bodies: Bodies, head: Head, current: Callable[[bytes], int]) -> None:
        self.folds, self.bodies, self.current = folds, bodies, current
        self.revision, self.position, self.link = head.revision, head.position, head.link
        self.ahead: dict[bytes, tuple[int, Batch]] = {}  # decided, not yet committed
        self._known: dict[bytes, int] = {}  # what `current` said, or a commit left; true as long as nobody else writes
        self._checkpoints = [(f.name.encode(), f.version) for f in folds]

    def revision_of(self, key: bytes) -> int:
        ahead = self.ahead.get(key)
        if ahead is not None:
            return ahead[0]
        revision = self._known.get(key)
        if revision is None:
            revision = self.current(key)
            self._remember(key, revision)
        return revision

    def add(
        self,
        batch: Batch,
        event: Event,
        changes: Sequence[Change] = (),
        guards: Sequence[Guard] = (),
        imported: bool = False,
    ) -> Commit:
        """Puts one append into the batch. Raises Conflict and ValueError, and then nothing has happened."""
        try:
            return self._add(batch, event, changes, guards, imported)
        except UnicodeEncodeError:
            # A client sent what is no text. Its request still leaves an event; a change of that kind is refused.
            return self._add(batch, without_surrogates(event), changes, guards, imported)

    def note(self, batch: Batch, event: Event) -> bytes:
        """Puts an event without changes into the batch; its row."""
        if event.position or event.revisions:
            event = event.at(0, ())
        event, row = encode_note(event)
        self.note_row(batch, event, row)
        return row

    def note_row(self, batch: Batch, event: Event, row: bytes) -> None:
        """The same with the row given, as `encode_event` makes it.

        It is the commonest thing a server does, so it is chained and folded later, together with others.
        """
        event.position = batch.upto = self.position = self.position + 1
        batch.events += 1
        batch.body_bytes += len(row)
        batch.unchained.append((row, NO_HASHES))
        batch.noted.append(event)
        if len(batch.noted) == NOTES_A_SLICE:
            self._settle(batch)

    def _settle(self, batch: Batch) -> None:
        """Makes the rows of what was put into the open batch since the last time."""
        rows, reached = batch.rows, self.link
        events = rows.setdefault("events", {})
        position = self.position - len(batch.unchained)
        for event_row, hashes in batch.unchained:
            position += 1
            event_digest = digest_of(event_row, hashes)
            reached = link(reached, event_digest)
            events[position.to_bytes(8, "big")] = event_digest + event_row
            if position % SEGMENT == 0:
                rows.setdefault("chain", {})[number(position)] = reached
        self.link = reached
        for fold in self.folds:
            for table, puts in fold.of_notes(batch.noted).items():
                rows.setdefault(table, {}).update(puts)
        batch.unchained, batch.noted = [], []

    def _add(
        self, batch: Batch, event: Event, changes: Sequence[Change], guards: Sequence[Guard], imported: bool
    ) -> Commit:
        for guard in guards:
            current = self.revision_of(table_key(guard.key.encode()))
            if current != guard.revision:
                raise Conflict(guard.key, current)
        touched: dict[bytes, int] = {}
        numbered = tuple([self._numbered(change, touched, n, imported) for n, change in enumerate(changes, 1)])
        commit = Commit(self.position + 1, tuple([change.revision for change in numbered]))
        entry = Entry(event.at(*commit), numbered)
        event_row = encode_event(entry.event)
        change_rows = [
            encode_change(change, change.key.encode(), event, commit.position, self._sealed(change))
            for change in numbered
        ]
        folded = [change for fold in self.folds for change in fold.changes(entry)]
        # Nothing fails from here on.
        self._place(batch, entry, event_row, change_rows)
        apply(batch.rows, folded)
        for key, revision in touched.items():
            self.ahead[key] = (revision, batch)
        batch.touched.update(touched)
        return commit

    def finish(self, batch: Batch) -> None:
        """Completes the open batch's rows, with the head and the folds' checkpoints; nothing is put into it after that."""
        self._settle(batch)
        batch.rows.setdefault("meta", {})[HEAD_KEY] = Head(self.revision, self.position, self.link).encode()
        rows = {version: dumps([version, self.position]) for version in {version for _, version in self._checkpoints}}
        batch.rows["checkpoints"] = {name: rows[version] for name, version in self._checkpoints}

    def committed(self, batch: Batch) -> None:
        """The batch can be read in the tables now."""
        batch.committed = True
        for key, revision in batch.touched.items():
            if self.ahead[key][1] is batch:
                del self.ahead[key]
                self._remember(key, revision)

    def _remember(self, key: bytes, revision: int) -> None:
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        self._known[key] = revision

    def _sealed(self, change: Change) -> bytes | None:
        return None if change.body is None else self.bodies.seal(change.key, change.uid, change.body)

    def _numbered(self, change: Change, touched: dict[bytes, int], n: int, imported: bool) -> Change:
        """The change with its revision and the one it replaces; `touched` is what this append did so far."""
        key = _checked_key(change)
        previous = touched[key] if key in touched else self.revision_of(key)
        if change.expect is not None and change.expect != previous:
            raise Conflict(change.key, previous)
        revision = change.revision if imported else self.revision + n
        touched[key] = revision if change.body is not None else 0
        return change.at(revision, previous)

    def _place(self, batch: Batch, entry: Entry, event_row: bytes, change_rows: list[bytes]) -> None:
        batch.upto = self.position = entry.event.position
        batch.unchained.append((event_row, hashes_of(change_rows)))
        for change, row in zip(entry.changes, change_rows, strict=True):
            batch.rows.setdefault("changes", {})[number(change.revision)] = row
            batch.body_bytes += len(row)
            self.revision = max(self.revision, change.revision)
        batch.body_bytes += len(event_row)
        batch.events += 1
        batch.entries.append(entry)


def apply(rows: Rows, changes: Iterable[Put | Delete]) -> None:
    """Adds what folds made of an entry to the rows of a transaction; the last change of a key counts."""
    for change in changes:
        table = rows.get(change.table)
        if table is None:
            table = rows[change.table] = {}
        table[change.key] = change.value if isinstance(change, Put) else None


def _checked_key(change: Change) -> bytes:
    body = change.body
    if body is not None:
        assert body.startswith(BODY_PREFIX), f"{change.key}: a stored body begins with {BODY_PREFIX!r}"
        if len(body) > BODY_BYTES_MAX:
            raise ValueError(f"{change.key}: a body of {len(body)} bytes; at most {BODY_BYTES_MAX} can be stored")
    return table_key(change.key.encode())


def check_new(revisions: Sequence[int], known: Callable[[int], bool]) -> None:
    """Refuses imported revisions that are not whole positive numbers, or taken."""
    if len(set(revisions)) != len(revisions):
        raise ValueError("an import brings the same revision twice")
    for revision in revisions:
        if revision <= 0 or known(revision):
            raise ValueError(f"an import brings revision {revision}, which the log already has or cannot have")
