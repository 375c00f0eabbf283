"""Retention: what a policy lets go, as transactions of bounded size.

Two things are dropped: the history of a resource (states of an object that were replaced, or ended by its deletion, before
the resource's horizon), and events of requests that changed nothing. An event whose changes are all gone goes with them.

    change    its row becomes the hash that the event's digest needs; its history rows go
    event     its row becomes its digest; its index rows go, and those of its changes
    segment   1,024 digests alone go as a whole: the link at their end is enough to go on from

What an object was at the horizon stays, so every state from the horizon on can be told; for one before it, reads raise
Compacted. The state of now is never touched. See docs/adr/0013-retention.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

import trio

from ledger.apimachinery.resource import GroupResource
from ledger.log.api import Entry, Fold, Read, Retained
from ledger.log.chain import DIGEST_BYTES, SEGMENT
from ledger.log.codec import decode_event, number
from ledger.log.event import Event
from ledger.log.rows import RETAINED_KEY, encode_retained, is_dropped
from ledger.log.sequencer import Rows
from ledger.projections.audit import AuditFold
from ledger.projections.history import GONE, HISTORY, HistoryFold
from ledger.projections.store import Store

DROPPED_A_STEP = 64  # so that a step takes about 2 ms of the trio thread
LOOKED_AT_A_STEP = 500
SEGMENTS_A_STEP = 2
BY_EVENT: tuple[Fold, ...] = (HistoryFold(), AuditFold())  # folds whose rows belong to one event each
END = b"\xff" * 512


@dataclass(frozen=True, slots=True)
class Policy:
    """What is kept how long, in microseconds; what is not named is kept for ever."""

    history: Mapping[GroupResource, int] = field(default_factory=dict)
    other_history: int | None = None  # of resources that `history` does not name
    requests: int | None = None  # events of requests that changed nothing
    events_bytes: int | None = None  # above it the oldest of those go, however young
    forever: frozenset[GroupResource] = frozenset()  # in spite of `other_history`


class Dropped(NamedTuple):
    events: int
    changes: int


class Sweep:
    """One pass over a log: `steps` gives transactions for the engine's `drop`, each to be committed before the next.

    A step may be empty: it only looked. Whatever is begun may be left: the next pass goes on.
    """

    def __init__(self, store: Store, policy: Policy, now_us: int) -> None:
        self.store, self.policy, self.now_us = store, policy, now_us
        self.events = self.changes = 0
        self._segments: dict[int, None] = {}  # in which something was dropped
        with store.read() as read:
            self.retained = read.retained()
            self._last_position = read.last_position()  # stays, so that a log always has a last event

    @property
    def dropped(self) -> Dropped:
        return Dropped(self.events, self.changes)

    def steps(self) -> Iterator[Rows]:
        for resource, age_us in self._resources():
            horizon = self.store.revision_at(max(0, self.now_us - age_us))
            if horizon > self.retained.horizons.get("/".join(resource), 0):
                yield from self._history(resource, horizon)
        yield from self._requests()
        yield from self._whole_segments()

    def _resources(self) -> list[tuple[GroupResource, int]]:
        history, other = self.policy.history, self.policy.other_history
        if other is None:
            return list(history.items())
        with self.store.read() as read:
            return [(one, history.get(one, other)) for one in _resources_of(read) if one not in self.policy.forever]

    def _history(self, resource: GroupResource, horizon: int) -> Iterator[Rows]:
        start: bytes | None = f"{resource.group}/{resource.resource}\0".encode()
        stop = f"{resource.group}/{resource.resource}\x01".encode()
        while start is not None:
            with self.store.read() as read:
                replaced, start = _replaced(read, start, stop, horizon)
                rows = self._without(read, replaced)
                if rows:
                    horizons = self.retained.horizons | {"/".join(resource): horizon}
                    self._remember(rows, read, self.retained._replace(horizons=horizons))
            yield rows

    def _without(self, read: Read, revisions: Iterable[int]) -> Rows:
        """The rows of a log without some of its changes."""
        rows: Rows = {}
        by_event: dict[int, set[int]] = {}
        for revision in revisions:
            stamp = read.stamp(revision)
            if stamp is not None and stamp.position < self._last_position:
                by_event.setdefault(stamp.position, set()).add(revision)
        for position, gone in by_event.items():
            event = read.event(position)
            assert event is not None, f"event {position} was dropped before its changes"
            changes = [read.change(revision) for revision in event.revisions]
            before = Entry(event, tuple([change for change in changes if change is not None]))
            after = Entry(event, tuple([change for change in before.changes if change.revision not in gone]))
            self.changes += len(gone)
            if not after.changes:
                self._drop_event(rows, read, before)
                continue
            _put(rows, "changes", {number(revision): _hash(read, revision) for revision in gone})
            self._retract(rows, before, after)
        return rows

    def _requests(self) -> Iterator[Rows]:
        """Drops events without changes from the oldest on, until they are young enough and the rest is small enough."""
        too_old = -1 if self.policy.requests is None else self.now_us - self.policy.requests
        excess = 0
        if self.policy.events_bytes is not None:
            excess = self.store.engine.table_bytes("events") - self.policy.events_bytes
        position, go_on = self.retained.reads, True
        while go_on and position < self._last_position - 1:
            rows: Rows = {}
            with self.store.read() as read:
                upto = min(position + LOOKED_AT_A_STEP, self._last_position - 1)
                for raw, row in read.scan("events", number(position + 1), number(upto + 1)):
                    if is_dropped(row):
                        continue
                    event = decode_event(int.from_bytes(raw, "big"), row[DIGEST_BYTES:])
                    go_on = event.answered <= too_old or excess > 0
                    if not go_on or len(rows.get("events", ())) >= DROPPED_A_STEP:
                        upto = event.position - 1
                        break
                    if not event.revisions and not _is_told_by_import(event):
                        self._drop_event(rows, read, Entry(event, ()))
                        excess -= len(row)
                position = upto
                if rows:
                    self._remember(rows, read, self.retained._replace(reads=position))
            yield rows

    def _whole_segments(self) -> Iterator[Rows]:
        """Of segments that have nothing left but digests, those go as well."""
        segments = [one for one in sorted(self._segments) if (one + 1) * SEGMENT < self._last_position]
        for start in range(0, len(segments), SEGMENTS_A_STEP):
            rows: Rows = {}
            with self.store.read() as read:
                for segment in segments[start : start + SEGMENTS_A_STEP]:
                    first = segment * SEGMENT + 1
                    found = list(read.scan("events", number(first), number(first + SEGMENT)))
                    if all(is_dropped(row) for _, row in found):
                        _put(rows, "events", {raw: None for raw, _ in found})
            yield rows

    def _drop_event(self, rows: Rows, read: Read, before: Entry) -> None:
        position = before.event.position
        row = read.get("events", number(position))
        assert row is not None
        _put(rows, "events", {number(position): row[:DIGEST_BYTES]})
        _put(rows, "changes", {number(revision): None for revision in before.event.revisions})
        self._retract(rows, before, None)
        self.events += 1
        self._segments[(position - 1) // SEGMENT] = None

    def _retract(self, rows: Rows, before: Entry, after: Entry | None) -> None:
        """Takes back what the folds made of an event and would not make of what is left of it."""
        for table, key in _folded(before) - (_folded(after) if after is not None else set()):
            _put(rows, table, {key: None})
        self.retained = self.retained._replace(upto=max(self.retained.upto, before.event.position))

    def _remember(self, rows: Rows, read: Read, retained: Retained) -> None:
        if not retained.begins and retained.upto:
            first = next(read.events(0, 1 << 62), None)
            retained = retained._replace(begins=first.answered if first is not None else 0)
        self.retained = retained
        _put(rows, "meta", {RETAINED_KEY: encode_retained(retained)})


async def sweep(store: Store, policy: Policy, now_us: int, pause_s: float = 0.0) -> Dropped:
    """One pass; between any two steps others have their turn, and at least so long."""
    one = Sweep(store, policy, now_us)
    for rows in one.steps():
        if rows:
            await store.engine.drop(rows)
        await trio.sleep(pause_s)
    return one.dropped


def _replaced(read: Read, start: bytes, stop: bytes, horizon: int) -> tuple[list[int], bytes | None]:
    """Revisions whose state was over by the horizon (included), and where to go on looking; None: at the end."""
    found: list[int] = []
    last: tuple[bytes, bytes] | None = None  # of the same object, at or before the horizon
    for looked_at, (key, how) in enumerate(read.scan(HISTORY, start, stop)):
        old = _revision(key) <= horizon
        if last is not None and (last[1] == GONE or (old and key[:-8] == last[0][:-8])):
            found.append(_revision(last[0]))
        if looked_at >= LOOKED_AT_A_STEP or len(found) >= DROPPED_A_STEP:
            return found, key
        last = (key, how) if old else None
    if last is not None and last[1] == GONE:
        found.append(_revision(last[0]))
    return found, None


def _revision(history_key: bytes) -> int:
    return int.from_bytes(history_key[-8:], "big")


def _resources_of(read: Read) -> Iterator[GroupResource]:
    """Those that have a history, found by leaping from one to the next."""
    start = b""
    while (row := next(read.scan(HISTORY, start, END), None)) is not None:
        prefix = row[0].partition(b"\0")[0]
        yield GroupResource(*prefix.decode().split("/", 1))
        start = prefix + b"\x01"


def _folded(entry: Entry) -> set[tuple[str, bytes]]:
    return {(put.table, put.key) for fold in BY_EVENT for put in fold.changes(entry)}


def _hash(read: Read, revision: int) -> bytes:
    row = read.get("changes", number(revision))
    assert row is not None and not is_dropped(row)
    return sha256(row).digest()


def _is_told_by_import(event: Event) -> bool:
    return event.stage == "Imported"


def _put(rows: Rows, table: str, changes: Mapping[bytes, bytes | None]) -> None:
    rows.setdefault(table, {}).update(changes)
